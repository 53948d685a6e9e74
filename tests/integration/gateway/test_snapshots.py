"""A state is taken once for all who come together: with what follows it is the same as a fresh one."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gridsignal_schemas.messages import DispatchRequest
from tests.builders import a_dispatch_request, a_flex_offer, a_request_cancellation
from tests.integration.gateway.test_offers_and_answers import body_of
from tests.integration.gateway.test_resume import a_second_gateway
from tests.integration.gateway_stand import AVRO, Client, Frame, Stand

FOR_LONG_S = 3600.0
THE_END = "the-end"


class History:
    """Requests that are made, revised, cancelled and answered with offers, as a seed has it."""

    def __init__(self, stand: Stand, writer: Client, seed: int) -> None:
        self._stand, self._writer, self._random = stand, writer, random.Random(seed)
        self._open: dict[str, DispatchRequest] = {}
        self._made = 0

    async def step(self) -> None:
        chosen = self._random.choice(["ask", "ask", "revise", "cancel", "offer", "offer"])
        if chosen == "ask" or not self._open:
            await self.ask(f"request-{self._made}")
            return
        name = self._random.choice(sorted(self._open))
        if chosen == "revise":
            known = self._open[name]
            await self._request(known.model_copy(update={"revision": known.revision + 1, "text": f"{self._made}"}))
        elif chosen == "cancel":
            await self._stand.publish(a_request_cancellation(request_id=name), principal="operator:tso-north")
            del self._open[name]
        else:
            body = body_of(a_flex_offer(request_id=name, request_revision=self._open[name].revision))
            await self._writer.ask("offer", offer_id=f"offer-{self._made}", body=body)
        await self._stand.announce()
        self._made += 1

    async def ask(self, name: str) -> None:
        await self._request(a_dispatch_request(request_id=name))
        self._made += 1

    async def _request(self, request: DispatchRequest) -> None:
        self._open[request.request_id] = request
        await self._stand.publish(request, principal="operator:tso-north")


async def until_the_end(client: Client) -> list[Frame]:
    """All signals until the last request has come, that one included."""
    signals = [await client.signal()]
    while signals[-1]["body"].get("request_id") != THE_END:
        signals.append(await client.signal())
    return signals


def view_of(signals: list[Frame]) -> dict[str, Frame]:
    """What a subscriber knows in the end: open requests, and the decisions on offers for them."""
    seen: set[tuple[object, ...]] = set()
    requests: dict[str, Frame] = {}
    decisions: dict[str, Frame] = {}
    for signal in signals:
        kind, body = signal["type"], signal["body"]
        identity = (kind, *(body.get(name) for name in ("request_id", "offer_id", "revision", "decision")))
        assert identity not in seen, f"{identity} came twice"
        seen.add(identity)
        if kind == "DispatchRequest":
            requests[body["request_id"]] = body
        elif kind == "RequestCancellation":
            del requests[body["request_id"]]
        elif kind == "OfferDecision":
            decisions[body["offer_id"]] = body
    return requests | {name: body for name, body in decisions.items() if body["request_id"] in requests}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ring_records", [20_000, 6])
async def test_a_shared_state_and_what_follows_are_what_a_fresh_one_is(
    tmp_path: Path, seed: int, ring_records: int
) -> None:
    async with Stand.open(tmp_path, snapshot_shared_s=FOR_LONG_S, ring_records=ring_records) as stand:
        await stand.register()
        async with stand.client() as writer, stand.client() as one, stand.client() as two, stand.client() as three:
            history = History(stand, writer, seed)
            for client in (one, two, three):
                for _ in range(8):
                    await history.step()
                await client.subscribe("dispatch", snapshot=True)
            await history.step()
            await history.ask(THE_END)
            seen = [await until_the_end(client) for client in (one, two, three)]
        async with a_second_gateway(stand) as fresh, stand.client(gateway=fresh) as client:
            await client.subscribe("dispatch", snapshot=True)
            await client.position()
            expected = view_of([frame for frame in client.unread if frame["t"] == "signal"])
    assert [view_of(signals) for signals in seen] == [expected] * 3


@asynccontextmanager
async def together(directory: Path) -> AsyncIterator[tuple[Stand, Client, Client]]:
    """Two connections of one organisation, whose state is shared for long."""
    async with (
        Stand.open(directory, snapshot_shared_s=FOR_LONG_S) as stand,
        stand.client() as first,
        stand.client() as second,
    ):
        yield stand, first, second


async def test_who_comes_together_is_shown_one_state_and_then_what_came_after_it(tmp_path: Path) -> None:
    async with together(tmp_path) as (stand, first, second):
        await stand.publish(a_dispatch_request(request_id="before"), principal="operator:tso-north")
        await first.subscribe("dispatch", snapshot=True)
        await first.position()
        await stand.publish(a_dispatch_request(request_id="after"), principal="operator:tso-north")
        await second.subscribe("dispatch", snapshot=True)
        came = [(await second.signal()) for _ in range(2)]
    assert [(signal["body"]["request_id"], "cursor" in signal) for signal in came] == [
        ("before", False),
        ("after", True),
    ]


async def test_nobody_is_shown_a_state_that_was_taken_for_a_rival(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, snapshot_shared_s=FOR_LONG_S) as stand:
        volt = stand.token("volt-colo")
        async with stand.client() as acme, stand.client(token=volt, site=None) as rival:
            await acme.subscribe("dispatch", snapshot=True)
            await acme.position()
            await stand.publish(a_dispatch_request(), principal="operator:tso-north")
            await rival.subscribe("dispatch", snapshot=True)
            assert "cursor" not in await rival.signal()


async def test_a_state_in_avro_is_what_would_be_on_the_log(stand: Stand) -> None:
    request = a_dispatch_request()
    await stand.publish(request, principal="operator:tso-north")
    async with stand.client(subprotocol=AVRO) as client:
        await client.subscribe("dispatch", snapshot=True)
        assert (await client.signal())["value"] == stand.codec.encode(request)


async def test_a_position_follows_a_state_once_whatever_others_did_meanwhile(tmp_path: Path) -> None:
    async with together(tmp_path) as (stand, first, second):
        await first.subscribe("dispatch", snapshot=True)
        await first.position()
        unseen = a_dispatch_request(visibility="LISTED", audience=["volt-colo"])
        await stand.publish(unseen, principal="operator:tso-north")
        await second.subscribe("dispatch", snapshot=True)
        await second.position()
        await stand.publish(a_dispatch_request(request_id="seen"), principal="operator:tso-north")
        frames = [await second.receive()]
        while frames[-1]["t"] != "signal":
            frames.append(await second.receive())
    assert [frame["t"] for frame in frames] == ["signal"]
