"""A command that ends by itself speaks for what it names alone, and says at once what keeps it from that."""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

import gridsignal
from gridsignal import MW, DispatchOrder, FlexOffer, OrderResponse
from gridsignal.cli.connection import bearer
from gridsignal.testing import FakeGrid
from gridsignal.tokens import TokenFile
from gridsignal_services import embedded
from gridsignal_services.embedded import Stack
from tests.integration.client_stage import HASTY
from tests.integration.typed import Typed, typing_at
from tests.patience import SOON_S


def dated(expires_at: datetime) -> str:
    """A token that says when it expires, which is all that a client reads of it."""
    claims = urlsafe_b64encode(json.dumps({"exp": int(expires_at.timestamp())}).encode()).rstrip(b"=").decode()
    return f"e30.{claims}.c2ln"


EXPIRED = dated(datetime(2024, 5, 12, 16, tzinfo=UTC))
WHEN = "expired at 2024-05-12T16:00:00Z"


@pytest.fixture
async def fake() -> AsyncIterator[FakeGrid]:
    async with FakeGrid() as standing:
        yield standing


@pytest.fixture
def typed(fake: FakeGrid, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    return typing_at({"url": fake.url, "api": fake.api, "token": fake.token}, monkeypatch, capsys)


async def an_order(fake: FakeGrid, typed: Typed) -> DispatchOrder:
    request = fake.ask(power_w=4 * MW)
    assert (await typed("offer", "create", request.request_id, "--power", "4MW", "--price", "80")).code == 0
    return fake.award(await fake.next(FlexOffer))


async def test_a_command_answers_the_order_it_names_and_acknowledges_no_other(fake: FakeGrid, typed: Typed) -> None:
    named, other = [await an_order(fake, typed) for _ in range(2)]
    open_request = fake.ask(power_w=4 * MW)
    for words in (
        f"respond refuse {named.order_id}",
        f"offer create {open_request.request_id} --power 4MW --price 80",
        "watch dispatch --once",
        "offer list",
        "whoami",
        "baseline show --from -1h --to +1h",
        "meter report --import 24MW",
    ):
        left = await typed(*words.split())
        assert left.code == 0, (words, left)
    answered = [(one.order_id, one.response) for one in fake.world.written if isinstance(one, OrderResponse)]
    assert answered == [(named.order_id, "REFUSED")]
    assert fake.world.ledger.orders[other.order_id].order.state == "ISSUED"


async def test_what_is_so_already_is_answered_alike_however_long_the_order_has_been_over(
    stack: Stack, fake: FakeGrid, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A gateway lets go of orders a day after their end; the dispatch door finds them for as long as they are kept."""
    await stack.declare_flat_baselines(embedded.midnight(datetime.now(UTC)), 3, 0.6)
    token = stack.token("participant", "acme-ai")
    fake.tokens.add(token)
    at_the_gateway = typing_at({"url": stack.gateway_url, "api": stack.api_url, "token": token}, monkeypatch, capsys)
    headers = {"Authorization": f"Bearer {stack.token('operator', 'tso-north')}"}
    async with httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=SOON_S) as operator:
        now = int(datetime.now(UTC).timestamp())
        times = {"starts_at": 10800, "ends_at": 14400, "gate_closure_at": 3600, "decision_deadline": 3700}
        body = {name: datetime.fromtimestamp(now + in_s, UTC).isoformat() for name, in_s in times.items()}
        body |= {"zone": "DE-LU", "direction": "LOAD_DECREASE"}
        asked = await operator.post(
            "/v1/requests", json=body | {"power_w": 4 * MW}, headers={"Idempotency-Key": "once"}
        )
        request_id = asked.json()["request"]["request_id"]
        assert (await at_the_gateway("offer", "create", request_id, "--power", "4MW", "--price", "80")).code == 0
        assert (await operator.post(f"/v1/requests/{request_id}/clear", json={})).status_code == 200
        (shown,) = (await operator.get("/v1/orders", params={"request_id": request_id})).json()["orders"]
    order_id = shown["order"]["order_id"]
    async with asyncio.timeout(SOON_S):
        while "No order" in (first := await at_the_gateway("respond", "refuse", order_id)).err:
            assert first.code == 1  # the gateway has not read it yet
    assert first.code == 0
    soon = await at_the_gateway("respond", "refuse", order_id)
    monkeypatch.setenv("GRIDSIGNAL_URL", fake.url)  # a gateway that has it no more
    late = await at_the_gateway("respond", "refuse", order_id)
    assert (late.code, late.out, late.err) == (0, f"order {order_id}: REFUSED already\n", "")
    assert soon == late
    other = await at_the_gateway("respond", "completed", order_id)
    assert (other.code, other.err) == (1, f"gridsignal: order {order_id} is REFUSED: it takes no answer any more\n")
    unknown = await at_the_gateway("respond", "refuse", "nobodys")
    assert (unknown.code, "or you may not see it" in unknown.err) == (1, True)


@pytest.mark.parametrize("words", ["whoami", "watch prices --once", "offer list", "baseline show --from -1h --to +1h"])
async def test_an_expired_token_in_a_file_is_told_once_and_at_once(
    typed: Typed, tmp_path: Path, caplog: pytest.LogCaptureFixture, words: str
) -> None:
    file = tmp_path / "token"
    file.write_text(EXPIRED)
    left = await typed(*words.split(), "--token-file", str(file))
    assert (left.code, left.out, left.err) == (1, "", f"gridsignal: the token {WHEN}\n")
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_a_command_at_another_door_says_that_it_is_no_gateway(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    token = stack.token("participant", "acme-ai")
    url = stack.api_url.replace("http", "ws")
    left = await typing_at({"url": url, "token": token}, monkeypatch, capsys)("whoami")
    (line,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert line.endswith("trying again: HTTP 400 of something that is no gateway")
    assert (left.code, left.err) == (2, "gridsignal: no gateway at this url (HTTP 400)\n")


class Told(logging.Handler):
    """Lines of a log, and a word when each comes."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self.came = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.came.set()


async def test_who_waits_for_another_token_says_which_file_it_is_to_come_in(fake: FakeGrid, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(EXPIRED)
    fake.tokens.add(EXPIRED)  # by the gateway's clock it is good yet
    told, log = Told(), logging.getLogger("gridsignal.connection")
    log.addHandler(told)
    source = TokenFile(file, bearer)
    try:
        async with (
            asyncio.timeout(SOON_S),
            gridsignal.connect(fake.url, token=source, outbox=":memory:", limits=HASTY) as grid,
        ):
            fake.tokens.clear()
            await fake.close(4005)
            await told.came.wait()
            file.write_text("another")
            fake.tokens.add("another")
            await grid.ping()
    finally:
        log.removeHandler(told)
    trouble, *_, back = told.lines
    assert trouble.endswith(f"trying again: the token in {file} {WHEN}; waiting for another in that file")
    assert "connected again" in back
