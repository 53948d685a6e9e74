"""Before 101: paths, tokens, origins, subprotocols, pace; and the plain HTTP beside the stream."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from gridsignal_services.access import SIGNAL_READ
from gridsignal_services.gateway.http import MAX_LINES
from tests.integration.gateway_stand import Stand, open_client
from tests.patience import SOON_S


async def refused(url: str, token: str | None, **options: Any) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as caught:
        async with open_client(url, token, **options):
            pass
    return caught.value


async def http(stand: Stand, request: str) -> str:
    reader, writer = await asyncio.open_connection(*stand.gateway.address)
    async with asyncio.timeout(SOON_S):
        writer.write(request.replace("\n", "\r\n").encode())
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


@pytest.mark.parametrize("token", ["x", "a.b.c", "", "x" * 7000])
async def test_a_bad_token_is_turned_away_before_the_upgrade(stand: Stand, token: str) -> None:
    answer = (await refused(stand.url, token or " ")).response
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert json.loads(answer.body or b"")["detail"] == "expected a valid bearer token"


async def test_an_expired_token_is_turned_away(stand: Stand) -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    token = stand.issuer.mint("participant", "acme-ai", "tests", (SIGNAL_READ,), 60, before)
    answer = (await refused(stand.url, token)).response
    assert (answer.status_code, b"The token expired at" in (answer.body or b"")) == (401, True)


async def test_a_token_in_the_url_is_refused_and_not_repeated(stand: Stand) -> None:
    answer = (await refused(f"{stand.url}?token=s3cret", None)).response
    assert answer.status_code == 400
    assert b"s3cret" not in (answer.body or b"")


async def test_a_foreign_origin_is_forbidden_and_an_allowed_one_is_not(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, origins=("https://desk.example",)) as stand:
        answer = await refused(stand.url, stand.token(), origin="https://evil.example")
        assert answer.response.status_code == 403
        async with stand.client(origin="https://desk.example") as client:
            assert client.welcome["t"] == "welcome"


async def test_no_common_subprotocol_names_those_there_are(stand: Stand) -> None:
    answer = (await refused(stand.url, stand.token(), subprotocol="gridsignal.v9")).response
    assert answer.status_code == 400
    assert b"gridsignal.v1.json, gridsignal.v1.avro" in (answer.body or b"")


async def test_another_path_is_not_found(stand: Stand) -> None:
    assert (await refused(stand.url.replace("/v1/stream", "/v2"), stand.token())).response.status_code == 404


async def test_handshakes_beyond_the_pace_are_asked_to_come_later(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, handshakes_per_s=0.001, handshake_burst=1) as stand, stand.client():
        answer = (await refused(stand.url, stand.token())).response
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1


async def test_an_organisation_that_comes_back_all_the_time_keeps_no_other_out(tmp_path: Path) -> None:
    bounds = {"organisation_handshakes_per_s": 0.001, "organisation_handshake_burst": 2, "handshake_burst": 4}
    async with Stand.open(tmp_path, handshakes_per_s=0.001, **bounds) as stand:
        async with stand.client(), stand.client():
            answers = [(await refused(stand.url, stand.token())).response for _ in range(8)]
        async with stand.client(site="muc-1", token=stand.token("volt-colo")) as other:
            assert other.welcome["t"] == "welcome"
    assert [answer.status_code for answer in answers] == [503] * 8
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)


async def test_more_connections_than_there_is_room_for_are_asked_to_come_later(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, max_connections=1) as stand, stand.client():
        assert (await refused(stand.url, stand.token())).response.status_code == 503


async def test_health_and_readiness_are_on_the_same_port_and_tell_a_word(stand: Stand) -> None:
    async with stand.client() as client:
        await client.subscribe("prices")
        health = await http(stand, "GET /healthz HTTP/1.1\nHost: x\n\n")
        ready = await http(stand, "GET /readyz HTTP/1.1\nHost: x\n\n")
        counted = await http(stand, "GET /metrics HTTP/1.1\nHost: x\n\n")
    assert health.startswith("HTTP/1.1 200")
    assert ready.endswith("ready\n")
    assert counted.startswith("HTTP/1.1 404")
    assert (await http(stand, "POST /healthz HTTP/1.1\nHost: x\n\n")).startswith("HTTP/1.1 405")


@pytest.mark.parametrize("request_text", ["\x16\x03\x01\n\n", "GET\n\n", f"GET /{'x' * 9000} HTTP/1.1\n\n"])
async def test_what_is_not_http_ends_without_a_hang(stand: Stand, request_text: str) -> None:
    await http(stand, request_text)


@pytest.mark.parametrize("target", ["//[::1", "/v1/stream\x00", "//[", "http://[::1/v1/stream", "*", "?", "//"])
async def test_an_odd_target_is_answered(stand: Stand, target: str, capfd: pytest.CaptureFixture[str]) -> None:
    answer = await http(stand, f"GET {target} HTTP/1.1\nHost: x\n\n")
    assert answer.startswith(("HTTP/1.1 400", "HTTP/1.1 404"))
    assert "error" not in capfd.readouterr().err


async def test_a_header_that_drips_is_dropped(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, header_timeout_s=0.1) as stand:
        assert (await http(stand, "GET /v1/stream HTTP/1.1\nHost")).startswith("HTTP/1.1 408")
        assert await http(stand, "") == ""


@pytest.mark.parametrize(
    ("lines", "bound"),
    [(f"X-Y: {'z' * 4000}\n", "at most 2000 bytes"), ("X-Y: z\n" * 500, f"at most {MAX_LINES} header")],
)
async def test_a_header_without_end_is_refused(tmp_path: Path, lines: str, bound: str) -> None:
    async with Stand.open(tmp_path, header_bytes=2000) as stand:
        answer = await http(stand, f"GET /v1/stream HTTP/1.1\n{lines}")
    assert (answer[:12], bound in answer) == ("HTTP/1.1 431", True)
