"""The SDK and what stands between it and the gateway: ingresses, proxies, TLS."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from ssl import create_default_context
from typing import Any

import pytest

import gridsignal
from gridsignal.testing import FakeGrid
from gridsignal_schemas import frames
from tests.certificates import Authority
from tests.integration.client_stage import HASTY
from tests.integration.front import TOKEN, connected, front, http_answer
from tests.patience import SOON_S


@pytest.fixture
async def fake() -> AsyncIterator[FakeGrid]:
    async with FakeGrid(token=TOKEN) as standing:
        yield standing


# --- an ingress while the gateway is rolled out -----------------------------------------------------------------

PASSING = ["404 Not Found", "403 Forbidden", "400 Bad Request", "405 No", "410 Gone", "426 No", "431 Large", "502 Bad"]
PASSING += ["200 OK", "302 Found", "401 Unauthorized"]


@pytest.mark.parametrize("status", PASSING)
@pytest.mark.parametrize("marked", [False, True])
async def test_no_answer_during_a_rollout_ends_a_program_that_was_once_welcomed(
    fake: FakeGrid, status: str, marked: bool
) -> None:
    mark = {frames.ANSWER_HEADER: "gateway"} if marked else {}
    async with front(fake.port) as ingress, connected(ingress.port, token=lambda: TOKEN) as grid:
        await grid.ping()
        ingress.answer = http_answer(status, **mark)
        ingress.cut()
        await ingress.refused(3)
        ingress.answer = None
        async with asyncio.timeout(SOON_S):
            await grid.ping()


@pytest.mark.parametrize(
    "noise", [b"", b"\x15\x03\x03\x00\x02\x02\x28", b"SSH-2.0-x\r\n", b"HTTP/1.1 101 What\r\n\r\n"]
)
async def test_nor_does_what_is_no_answer_at_all(fake: FakeGrid, noise: bytes) -> None:
    async with front(fake.port) as ingress, connected(ingress.port) as grid:
        ingress.answer = noise
        ingress.cut()
        await ingress.refused(3)
        ingress.answer = None
        async with asyncio.timeout(SOON_S):
            await grid.ping()


@pytest.mark.parametrize("status", [status for status in PASSING if not status.startswith("431")])
async def test_an_answer_that_passes_within_the_first_seconds_does_no_harm(fake: FakeGrid, status: str) -> None:
    async with front(fake.port) as ingress:
        ingress.answer = http_answer(status)

        async def routed() -> None:
            await ingress.refused(3)
            ingress.answer = None

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(routed())
            async with connected(ingress.port) as grid:
                await grid.ping()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("404 Not Found", gridsignal.UsageError),
        ("403 Forbidden", gridsignal.NotEntitled),
        ("401 Unauthorized", gridsignal.Unauthorized),
        ("400 Bad Request", gridsignal.ProtocolViolation),
    ],
)
async def test_the_gateways_own_no_to_a_newcomer_is_told_at_once(
    fake: FakeGrid, status: str, error: type[gridsignal.GridsignalError]
) -> None:
    async with front(fake.port) as ingress:
        ingress.answer = http_answer(status, **{frames.ANSWER_HEADER: "gateway"})
        with pytest.raises(error):
            async with connected(ingress.port):
                raise AssertionError("it was let in")
    assert len(ingress.heard) == 1


async def test_a_no_of_anybody_is_told_in_the_end(fake: FakeGrid) -> None:
    async with front(fake.port) as ingress:
        ingress.answer = http_answer("404 Not Found")
        with pytest.raises(gridsignal.UsageError, match="HTTP 404"):
            async with connected(ingress.port, limits=replace(HASTY, first_connect_s=0.5)):
                raise AssertionError("it was let in")
    assert len(ingress.heard) > 1


async def test_a_token_that_is_too_large_for_what_stands_in_front_is_named(fake: FakeGrid) -> None:
    async with front(fake.port) as ingress:
        ingress.answer = http_answer("431 Request Header Fields Too Large")
        with pytest.raises(gridsignal.Unauthorized, match=rf"too large.*431.*{len(TOKEN)} characters"):
            async with connected(ingress.port):
                raise AssertionError("it was let in")


async def test_a_start_waits_for_a_gateway_as_long_as_it_is_told_to(fake: FakeGrid) -> None:
    async with front(fake.port) as ingress:
        ingress.answer = http_answer("503 Service Unavailable")

        async def restarted() -> None:
            await ingress.refused(5)
            ingress.answer = None

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(restarted())
            limits = replace(HASTY, first_connect_s=0.001)
            async with connected(ingress.port, limits=limits, wait_s=math.inf) as grid:
                await grid.ping()
        ingress.answer = http_answer("503 Service Unavailable")
        with pytest.raises(gridsignal.Unreachable, match=r"no gateway within 0\.2 s: HTTP 503"):
            async with connected(ingress.port, wait_s=0.2):
                raise AssertionError("it was let in")
    with pytest.raises(gridsignal.UsageError, match="wait_s= above 0, got 0"):
        gridsignal.connect(fake.url, token=TOKEN, wait_s=0)


async def test_a_rollout_is_told_in_the_log_and_not_at_each_try(
    fake: FakeGrid, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with front(fake.port) as ingress, connected(ingress.port) as grid:
        ingress.answer = http_answer("404 Not Found")
        ingress.cut()
        await ingress.refused(5)
        ingress.answer = None
        await grid.ping()
    assert sum("HTTP 404" in record.getMessage() for record in caplog.records) == 1


# --- where a token must not go ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_not_followed_and_says_where_it_leads(fake: FakeGrid, status: str) -> None:
    async with front(fake.port) as ingress, front(fake.port) as elsewhere:
        ingress.answer = http_answer(status, Location=f"http://me:canary@127.0.0.1:{elsewhere.port}/v1/stream?q=canary")
        with pytest.raises(gridsignal.UsageError, match=f":{elsewhere.port}/v1/stream") as refused:
            async with connected(ingress.port, limits=replace(HASTY, first_connect_s=0.5)):
                raise AssertionError("it was let in")
    assert "canary" not in str(refused.value)
    assert elsewhere.heard == []


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
async def test_no_log_line_shows_the_token(fake: FakeGrid, caplog: pytest.LogCaptureFixture, level: int) -> None:
    caplog.set_level(level)
    fresh = TOKEN.replace("c2ln", "ZnJl")
    fake.tokens.add(fresh)
    given = iter([TOKEN])

    async def token() -> str:
        return next(given, fresh)

    async with front(fake.port) as ingress, connected(ingress.port, token=token) as grid:
        fake.tell(frames.TokenExpiring(expires_at=grid.now() + timedelta(seconds=60)))
        await grid.ping()
        ingress.answer = http_answer("401 Unauthorized", Echo=f"Bearer {TOKEN}")
        ingress.cut()
        await ingress.refused(2)
        ingress.answer = None
        await grid.ping()
    told = caplog.text + "".join(map(repr, caplog.records)) + "".join(repr(record.args) for record in caplog.records)
    assert any(head.count(TOKEN.encode()) for head in ingress.heard)  # it was sent
    for part in (TOKEN.split(".")[1], TOKEN.split(".")[2], fresh.split(".")[2]):
        assert part not in told


@pytest.mark.parametrize("how", ["text", "function", "coroutine"])
async def test_what_is_no_token_is_never_sent(fake: FakeGrid, how: str) -> None:
    poisoned = f"{TOKEN}\r\nX-Evil: 1"

    async def fetched() -> str:
        return poisoned

    source = {"text": poisoned, "function": lambda: poisoned, "coroutine": fetched}[how]
    async with front(fake.port) as ingress:
        with pytest.raises(gridsignal.UsageError) as refused:
            async with connected(ingress.port, token=source):
                raise AssertionError("it was let in")
    assert ingress.heard == []
    assert TOKEN[:12] not in str(refused.value)


async def test_a_token_with_a_newline_is_the_token(fake: FakeGrid) -> None:
    async with connected(fake.port, token=f"\ufeff{TOKEN}\r\n") as grid:
        await grid.ping()


async def test_a_token_file_that_is_being_written_ends_nothing(fake: FakeGrid, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    async with front(fake.port) as ingress, connected(ingress.port, token=file.read_text) as grid:
        file.write_text("")
        ingress.answer = http_answer("401 Unauthorized")
        ingress.cut()
        await ingress.refused(1)
        ingress.answer = None
        file.write_text(TOKEN)
        async with asyncio.timeout(SOON_S):
            await grid.ping()


# --- TLS --------------------------------------------------------------------------------------------------------


async def test_a_private_authority_and_a_client_certificate_are_settings(fake: FakeGrid, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    shown = authority.server(authority.certificate(), wants_client=True)
    mine = authority.certificate("mine")
    async with front(fake.port, shown) as ingress:
        async with connected(ingress.port, "wss", cafile=authority.file, certfile=mine) as grid:
            await grid.ping()
        own = create_default_context(cafile=str(authority.file))
        own.load_cert_chain(mine)
        async with connected(ingress.port, "wss", ssl=own) as grid:
            await grid.ping()


@pytest.mark.parametrize("fault", ["unknown authority", "another host", "expired", "no TLS"])
async def test_a_failure_of_tls_says_why_and_is_not_tried_for_ever(fake: FakeGrid, tmp_path: Path, fault: str) -> None:
    authority = Authority(tmp_path)
    host = "127.0.0.2" if fault == "another host" else "127.0.0.1"
    valid_for = timedelta(days=-1) if fault == "expired" else timedelta(days=1)
    shown = authority.server(authority.certificate(host=host, valid_for=valid_for))
    trusted: dict[str, Any] = {} if fault == "unknown authority" else {"cafile": authority.file}
    told = {"unknown authority": "cafile=.*--ca", "another host": "127.0.0.1", "expired": "expired", "no TLS": "no TLS"}
    async with front(fake.port, None if fault == "no TLS" else shown) as ingress:
        ingress.answer = http_answer("400 Bad Request")
        with pytest.raises(gridsignal.Untrusted, match=told[fault]) as failure:
            async with connected(ingress.port, "wss", **trusted):
                raise AssertionError("it was let in")
    assert not failure.value.retriable


async def test_a_certificate_that_is_wrong_for_a_while_ends_nothing(fake: FakeGrid, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    good = authority.server(authority.certificate())
    wrong = authority.server(authority.certificate("wrong", host="127.0.0.2"))
    async with front(fake.port, good) as ingress, connected(ingress.port, "wss", cafile=authority.file) as grid:
        await grid.ping()
        good.load_cert_chain(tmp_path / "wrong.pem")
        del wrong
        ingress.cut()
        await asyncio.sleep(0)
        good.load_cert_chain(tmp_path / "leaf.pem")
        async with asyncio.timeout(SOON_S):
            await grid.ping()
