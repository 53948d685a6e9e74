"""One journey after the other in one world, each in three hours of its own, until all of them are settled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import gridsignal
from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_schemas.messages import DispatchOrder, DispatchRequest, Record, Settlement
from gridsignal_schemas.values import MW, rfc3339
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.ledger.entry import Outcome
from tests.builders import MARKET_DAY
from tests.journey.conftest import NOON, World, hear

SITES = {"fra-1": "acme-ai", "muc-1": "volt-colo", "ber-1": "hyper-infer"}
"""Flat baselines of 36, 18 and 30 MW, of which 24, 14 and 10 can be shed."""
OPERATOR = "tso-north"
MONTH = "2024-05"
PARTITION = partition_of("DE-LU", TOPICS["dispatch"].partitions)
HOURS = timedelta(hours=3)
GATE, DEADLINE, START, END = 10, 20, 60, 105
"""Minutes of a journey's hours: its gate closes, the request has to be decided, the order begins and ends."""


class Hours:
    """The three hours of one journey, and what is done in them."""

    def __init__(self, world: World, sites: Mapping[str, gridsignal.Grid], heard: Mapping[str, Any], at: datetime):
        self.world, self.sites, self._heard, self._at = world, sites, heard, at
        self.requests: list[str] = []
        self.offered = 0

    def at(self, minute: int) -> datetime:
        """That minute of the journey."""
        return self._at + timedelta(minutes=minute)

    async def reach(self, minute: int) -> None:
        """Lets everything happen that is due by then."""
        await self.world.reach(self.at(minute))

    async def ask(self, mw: int = 10, *, start: int = START, end: int = END, **changes: Any) -> str:
        """tso-north asks for so much less; what lacks costs 44 EUR/MWh. The request's id."""
        times = {"gate_closure_at": GATE, "decision_deadline": DEADLINE, "starts_at": start, "ends_at": end}
        asked = {name: rfc3339(self.at(minute)) for name, minute in times.items()}
        asked |= {"power_w": mw * MW, "deficiency_price_per_mwh": "44"}
        self.requests.append(await self.world.ask(**asked | changes))
        return self.requests[-1]

    async def offer(self, site: str, price: str, mw: int = 10, **terms: Any) -> DispatchRequest:
        """The site's offer on what was asked last."""
        self.offered += 1
        request = await hear(self._heard[site], DispatchRequest, request_id=self.requests[-1])
        offer_id = terms.pop("offer_id", f"{site}-{self.requests[-1]}-{self.offered}")
        await self.sites[site].offer(request, mw * MW, price, offer_id=offer_id, **terms)
        return request

    async def order(self, site: str, request: int = -1) -> DispatchOrder:
        """The site's order of that request, once it has heard of it."""
        return await hear(self._heard[site], DispatchOrder, request_id=self.requests[request], state="ISSUED")

    async def accept(self, site: str, mw: int | None = None, request: int = -1) -> DispatchOrder:
        """The site accepts its order, or so much of it."""
        order = await self.order(site, request)
        await self.sites[site].accept(order, None if mw is None else mw * MW)
        return order

    async def award(self, site: str, price: str, mw: int = 10, **terms: Any) -> DispatchOrder:
        """The site is the only one to offer; the gate closes, and it accepts."""
        await self.offer(site, price, mw, **terms)
        await self.reach(GATE)
        return await self.accept(site)

    async def metered(self, site: str, *mw: int | None, start: int = START, every: int = 15, seq: int = 0) -> None:
        """What the site's meter says of each part of the order's time, when it is over; None: nothing."""
        await self.reach(start + every * len(mw))
        for number, each in enumerate(mw):
            since = start + every * number
            if each is not None:
                said = {"starts_at": self.at(since), "ends_at": self.at(since + every), "import_w": each * MW}
                await self.sites[site].meter(meter="main", seq=seq, **said)

    def orders(self) -> list[tuple[DispatchOrder, str]]:
        """Those of its requests, as they stand, and the state of each."""
        orders = self.world.stack.replica.ledger_of("DE-LU").orders.values()
        return [(each.order, each.state.value) for each in orders if each.order.request_id in self.requests]

    async def operator(self, path: str, **body: Any) -> None:
        """The operator changes something."""
        async with self.world.desk() as desk:
            answer = await desk.post(f"/v1/{path}", json=body)
        assert answer.status_code == 200, answer.text


@dataclass(frozen=True, slots=True)
class Travelled:
    """What lies on the log when all journeys are over, and what the doors say then."""

    requests: Mapping[str, list[str]]
    """By journey."""
    codec: Codec
    """The log's."""
    heard: list[tuple[LogRecord, Record, Outcome]]
    """All of the dispatch stream in its order, and what the reduce made of each."""
    dispatch: list[LogRecord]
    """The zone's partition from its first record on."""
    readings: list[LogRecord]
    """The same of what meters said."""
    ordered: Mapping[str, list[tuple[DispatchOrder, str]]]
    """By journey, in the order of their issue, as they stood at its end, and the state of each."""
    statements: Mapping[str, Any]
    """By organisation."""
    states: Mapping[str, str]
    """Of each request, at last."""

    def settlements(self, *requests: str) -> list[Settlement]:
        """All versions, in their order on the log."""
        records = (record for _, record, outcome in self.heard if outcome.accepted)
        return [each for each in records if isinstance(each, Settlement) and each.request_id in requests]


async def travel(world: World, journeys: Mapping[str, Any]) -> Travelled:
    """Plays all journeys, lets the rule's time pass, and says later readings then; forty-four days are over at last."""
    heard: list[tuple[LogRecord, Record, Outcome]] = []
    world.stack.replica.listen(lambda logged, record, outcome: heard.append((logged, record, outcome)))
    await world.stack.declare_flat_baselines(MARKET_DAY, 10, 0.6)
    played, ordered = dict[str, Hours](), dict[str, list[tuple[DispatchOrder, str]]]()
    async with AsyncExitStack() as connections:
        sites = {site: await connections.enter_async_context(world.site(whose, site)) for site, whose in SITES.items()}
        signals = {site: grid.subscribe("dispatch", zones=["DE-LU"]) for site, grid in sites.items()}
        for number, (name, journey) in enumerate(journeys.items()):
            played[name] = Hours(world, sites, signals, NOON + number * HOURS)
            await journey.play(played[name])
            await played[name].reach(179)
            ordered[name] = played[name].orders()
        over = NOON + len(journeys) * HOURS
        said_later = [(journey.day, name) for name, journey in journeys.items() if journey.later is not None]
        for day, name in sorted(said_later):
            await world.reach(over + timedelta(days=day))
            await journeys[name].later(played[name])
        await world.reach(over + timedelta(days=46))
    requests = {name: hours.requests for name, hours in played.items()}
    return Travelled(
        requests=requests,
        codec=world.stack.codec,
        heard=list(heard),
        dispatch=await everything(world.stack.log, "dispatch"),
        readings=await everything(world.stack.log, "readings"),
        ordered=ordered,
        statements={name: await statement(world, name) for name in (OPERATOR, *SITES.values())},
        states=await states(world, [each for some in requests.values() for each in some]),
    )


async def states(world: World, requests: Iterable[str]) -> dict[str, str]:
    """Of requests, as the operator reads them."""
    async with world.desk() as desk:
        return {each: (await desk.get(f"/v1/requests/{each}")).json()["state"] for each in requests}


async def statement(world: World, organisation: str) -> Any:
    """Of the month, in one page."""
    async with world.desk(organisation, "operator" if organisation == OPERATOR else "participant") as desk:
        answer = await desk.get(f"/v1/statements/{MONTH}", params={"limit": 500})
    assert answer.status_code == 200, answer.text
    return answer.json(parse_float=Decimal)


async def everything(log: Log, stream: str, partition: int = PARTITION) -> list[LogRecord]:
    """A stream's records of the zone's partition, or of another, from the first to the last."""
    end, found = (await log.end_positions(stream))[partition], list[LogRecord]()
    reader = await log.reader(stream, {partition: (await log.start_positions(stream))[partition]})
    while reader.positions[partition] < end:
        found += await reader.read()
    await reader.aclose()
    return found
