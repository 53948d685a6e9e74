"""A running stack takes a changed file whole or not at all: at every door, and on sockets that are open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from gridsignal_services.access import SIGNAL_READ, SIGNAL_WRITE
from tests.integration.access.conftest import Stage
from tests.integration.gateway_stand import open_client
from tests.patience import SOON_S


def _now() -> datetime:
    return datetime.now(UTC)


def without_the_operator(text: str) -> str:
    """The registry file without tso-north."""
    start = text.index("[operators.tso-north]")
    return text[:start] + text[text.index("\n[", start) :]


def sold(text: str) -> str:
    """The registry file after volt-colo has bought fra-1."""
    assert 'participant = "acme-ai"' in text
    return text.replace('participant = "acme-ai"', 'participant = "volt-colo"')


async def closed_with(stage: Stage, token: str, what: Callable[[], object]) -> int | None:
    """The code with which a socket that said hello is closed after `what` was done."""
    async with open_client(f"{stage.stack.gateway_url}/v1/stream", token) as client:
        await client.hello()
        what()
        async with asyncio.timeout(SOON_S):
            code, _ = await client.closed()
    return code


async def refused(stage: Stage, token: str, lines: list[EventDict]) -> list[str]:
    """What is wrong with the files, once the stack has said it; the token is good until then."""
    async with asyncio.timeout(SOON_S):
        while not (said := [line for line in lines if "not taken" in line["event"]]):
            assert await stage.status(token) == 200
    return list(said[0]["faults"])


async def test_a_removed_operator_is_refused_at_each_rest_door_and_comes_back_with_the_file(stage: Stage) -> None:
    before = stage.registry.read_text("utf-8")
    token = stage.stack.token("operator", "tso-north")
    push = stage.stack.issuer.mint("operator", "tso-north", "x", [SIGNAL_READ, SIGNAL_WRITE], 60, _now())
    assert await stage.status(token) == 200
    stage.rewrite(without_the_operator)
    await stage.becomes(403, token)
    async with httpx2.AsyncClient(
        base_url=stage.stack.feeds_url, headers={"Authorization": f"Bearer {push}"}, timeout=SOON_S
    ) as http:
        assert (await http.post("/v1/signals/prices", json={})).status_code == 403
    stage.registry.write_text(before, "utf-8")
    await stage.becomes(200, token)


async def test_a_site_that_changes_hands_ends_the_sockets_of_both(stage: Stage) -> None:
    acme = stage.stack.token("participant", "acme-ai")
    assert await closed_with(stage, acme, lambda: stage.rewrite(sold)) == 4006
    volt = stage.stack.token("participant", "volt-colo")
    headers = {"Authorization": f"Bearer {volt}"}
    async with (
        asyncio.timeout(SOON_S),
        httpx2.AsyncClient(base_url=stage.stack.api_url, headers=headers, timeout=SOON_S) as http,
    ):
        while "fra-1" not in (await http.get("/v1/sites")).text:
            pass  # the site's new registration is on its way onto the log


async def test_a_revoked_token_is_refused_at_once_and_its_socket_closed(stage: Stage) -> None:
    token = stage.stack.issuer.mint("participant", "acme-ai", "alice", [SIGNAL_READ], 600, _now())
    other = stage.stack.issuer.mint("participant", "acme-ai", "bob", [SIGNAL_READ], 600, _now())
    entry = '[[revoked]]\norg = "acme-ai"\nsub = "alice"\n'
    assert await closed_with(stage, token, lambda: stage.revocations.write_text(entry, "utf-8")) == 4501
    assert (await stage.status(token), await stage.status(other)) == (401, 200)
    async with httpx2.AsyncClient(base_url=stage.stack.ops.url, timeout=SOON_S) as ours:
        assert 'gridsignal_tokens_refused_total{reason="revoked"}' in (await ours.get("/metrics")).text


@pytest.mark.parametrize("broken", ["[zones", "", "[zones.DE-LU]\ncolour = 1\n"])
async def test_a_broken_file_keeps_all_that_was_before(stage: Stage, broken: str) -> None:
    token = stage.stack.token("operator", "tso-north")
    before = stage.registry.read_text("utf-8")
    stage.registry.write_text(broken, "utf-8")
    stage.revocations.write_text('[[revoked]]\norg = "tso-north"\n', "utf-8")  # good, but not without the other
    stage.asked.set()
    with capture_logs() as lines:
        faults = await refused(stage, token, lines)
    assert any("sites.toml" in fault for fault in faults)
    stage.registry.write_text(before, "utf-8")
    await stage.becomes(401, token)


async def test_a_signal_has_the_files_read_at_once(stage: Stage) -> None:
    token = stage.stack.token("operator", "tso-north")
    stage.rewrite(without_the_operator)
    stage.asked.set()
    await stage.becomes(403, token)


async def test_a_file_that_vanishes_keeps_what_was_before(stage: Stage) -> None:
    token = stage.stack.token("operator", "tso-north")
    stage.revocations.unlink()
    with capture_logs() as lines:
        faults = await refused(stage, token, lines)
    assert any("revoked.toml" in fault for fault in faults)


async def test_an_expired_token_is_called_expired_and_any_other_is_not(stage: Stage) -> None:
    def token(lives_s: int, before_s: int) -> str:
        issued = _now() - timedelta(seconds=before_s)
        return stage.stack.issuer.mint("operator", "tso-north", "x", [SIGNAL_READ], lives_s, issued)

    async def detail(text: str) -> str:
        headers = {"Authorization": f"Bearer {text}"}
        async with httpx2.AsyncClient(base_url=stage.stack.api_url, headers=headers, timeout=SOON_S) as http:
            answer = await http.get("/v1/requests")
        assert answer.status_code == 401
        return str(answer.json()["detail"])

    expired = token(60, 120)
    assert (await detail(expired)).startswith("The token expired at 20")
    for bad in (expired[:-4] + "AAAA", token(32 * 86_400, 0), token(60, -300), "x.y.z"):
        assert await detail(bad) == "expected a valid bearer token"
