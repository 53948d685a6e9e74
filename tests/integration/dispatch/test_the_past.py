"""What is over is answered as if it had stayed: on the asker's account, a little at a time, and nothing of others."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridsignal.testing import ManualClock
from gridsignal_schemas.messages import Visibility
from gridsignal_schemas.values import MW
from gridsignal_services.access import SIGNAL_READ, Entitlements, Principal, Role
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.dispatch.parts import OFFERS, ORDERS, REQUESTS, Kind, parts_of, read, zone_name
from gridsignal_services.dispatch.past import PastReader
from gridsignal_services.dispatch.tables import MOST, Question
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.registry import Registry, example_registry_text
from gridsignal_services.replica import Replica
from gridsignal_services.work import NOBODYS, Work
from tests.builders import a_dispatch_request, a_meter_reading, utc
from tests.effort import examples
from tests.integration.a_door import Caller, a_door, callers_of
from tests.metered import add_reading
from tests.patience import SOON_S
from tests.unit.ledger.market import OPERATORS_NAME, Market
from tests.unit.ledger.zone import CODEC

T = TypeVar("T")
WHO = ("acme", "volt", "hyper")
OPERATORS = ("tso-north", "supplier-one")
CALLERS: list[tuple[Role, str]] = [("operator", each) for each in OPERATORS]
CALLERS += [("participant", each) for each in WHO]
FOR_EVER = timedelta(days=36_500)
REGISTRY = example_registry_text()
for shipped, ours in {"acme-ai": "acme", "volt-colo": "volt", "hyper-infer": "hyper"}.items():
    REGISTRY = REGISTRY.replace(shipped, ours)
for shipped, ours in {"fra-1": "acme-1", "muc-1": "volt-1", "ber-1": "hyper-1"}.items():
    REGISTRY = REGISTRY.replace(shipped, ours)


@dataclass(frozen=True)
class Asked:
    """One request, and what became of it."""

    operator: str
    audience: tuple[str, ...] | None
    offered_mw: dict[str, int]
    answers: str
    """How its orders are answered, in turn."""


asked = st.builds(
    Asked,
    st.sampled_from(OPERATORS),
    st.none() | st.lists(st.sampled_from(WHO), unique=True).map(tuple),
    st.dictionaries(st.sampled_from(WHO), st.integers(1, 9)),
    st.text("arx", min_size=1, max_size=3),
)


def left_by(market: Market) -> list[Book]:
    """What it lets go of, once all is over for a day."""
    market.run_until(utc("23:00"))
    market.now += timedelta(hours=13)
    gone: list[Book] = []
    while market.ledger.requests:
        market.cancel("none")
        gone += market.ledger.forgotten
        market.ledger.forgotten.clear()
    return gone


def over(requests: list[Asked]) -> tuple[Ledger, Ledger, list[Book], datetime]:
    """A ledger that has let go of these requests, one that keeps all, what was let go of, and when that is."""
    market = Market(kept=timedelta(hours=12))
    for who in WHO:
        market.site(who)
    for number, one in enumerate(requests):
        listed = {} if one.audience is None else {"visibility": Visibility.LISTED, "audience": list(one.audience)}
        name = f"request-{number}"
        record = a_dispatch_request(request_id=name, operator=one.operator, power_w=12 * MW, **listed)
        assert market.add(record, f"operator:{one.operator}").accepted
        for who, megawatts in one.offered_mw.items():
            market.offer(who, megawatts * MW, offer_id=f"{who}-{name}", request_id=name)
    market.run_until(utc("17:00"))
    answers = {f"request-{number}": itertools.cycle(one.answers) for number, one in enumerate(requests)}
    for tracked in list(market.ledger.orders.values()):
        answer = {"a": "ACCEPTED", "r": "REFUSED"}.get(next(answers[tracked.order.request_id]))
        if answer is not None:
            market.reply(tracked.order, answer)
    gone = left_by(market)
    whole = Ledger(0, FOR_EVER)
    for entry, _ in market.log:
        whole.apply(entry)
    return market.ledger, whole, gone, market.now


@asynccontextmanager
async def asking(
    ledger: Ledger, gone: list[Book], now: datetime, directory: Path, most: int = MOST
) -> AsyncIterator[Caller]:
    """Clients of a door with this ledger, whose answers have so many requests that are over."""
    log = await SqliteLog.open(directory / "log")
    replica = Replica(log, CODEC, source="/tests")
    replica.ledgers[0] = ledger
    plenty = {"work_burst_ms": 10**9, "request_burst": 10**6}
    door = a_door(log, replica, ManualClock(now), directory, Registry.parse(REGISTRY, "registry.toml"), most, **plenty)
    for book in gone:
        door._finished.add(0, 7, book)
    for quarter in range(8):
        starts_at = utc("17:30") + quarter * timedelta(minutes=15)
        ends_at = starts_at + timedelta(minutes=15)
        times = {"starts_at": starts_at, "ends_at": ends_at, "import_w": 30 * MW, "seq": quarter}
        for who in WHO:
            add_reading(door.readings.meters, a_meter_reading(site=f"{who}-1", participant=who, meter="main", **times))
    yield callers_of(door, directory)[1]
    await door._finished.aclose()
    await log.aclose()


PERIODS = ("from=2024-05-12T16:00:00Z&to=2024-05-13T00:00:00Z", "from=2024-05-12T18:45:00Z&to=2024-05-12T18:50:00Z")


def questions(whole: Ledger) -> list[str]:
    """Every question about the past."""
    of_period = ["requests", "requests?state=COMPLETED", "requests?zone=DE-LU", "orders", "orders?state=ACCEPTED"]
    of_period += ["totals?by=request", "totals?by=site", "totals?by=day"]
    of_period += [f"{name}?site={who}-1" for name in ("readings", "baselines") for who in WHO]
    found = [f"{path}{'&' if '?' in path else '?'}{PERIODS[0]}" for path in of_period]
    found += [f"{path}?{PERIODS[1]}" for path in ("requests", "orders", "totals")]
    for name in whole.requests:
        found += [f"requests/{name}", f"requests/{name}/book", f"orders?request_id={name}", f"offers?request_id={name}"]
    return [f"/v1/{path}" for path in (*found, *(f"orders/{name}" for name in whole.orders))]


async def answers(
    ledger: Ledger, gone: list[Book], now: datetime, asked: list[str]
) -> dict[tuple[str, str], tuple[int, Any]]:
    found: dict[tuple[str, str], tuple[int, Any]] = {}
    with tempfile.TemporaryDirectory() as directory:
        async with asking(ledger, gone, now, Path(directory)) as client:
            for role, name in CALLERS:
                async with client(role, name) as caller:
                    for path in asked:
                        answer = await caller.get(path)
                        found[name, path] = answer.status_code, answer.json()
    return found


@settings(max_examples=examples(2), deadline=None)
@given(st.lists(asked, min_size=2, max_size=3))
def test_it_is_answered_as_if_it_had_stayed(requests: list[Asked]) -> None:
    left, whole, gone, now = over(requests)
    asked = questions(whole)
    stayed = asyncio.run(answers(whole, [], now, asked))
    assert asyncio.run(answers(left, gone, now, asked)) == stayed
    listed = stayed[requests[0].operator, f"/v1/requests?{PERIODS[0]}"]
    assert listed[0] == 200
    assert listed[1]["requests"]


@example([Asked("tso-north", None, {"acme": 9, "volt": 9, "hyper": 9}, "rar")])  # two clearings of one moment
@settings(max_examples=examples(20), deadline=None)
@given(st.lists(asked, min_size=1, max_size=2))
def test_all_parts_make_the_whole(requests: list[Asked]) -> None:
    for book in over(requests)[2]:
        ((ledger,),) = [done for done in read([(0, [part.body for part in parts_of(book)])]) if done]
        assert ledger.book == book
        assert [list(ledger.orders), list(ledger.offers)] == [list(book.orders), list(book.offers)]
        bodies = [part.body for part in parts_of(book) if part.kind not in (Kind.OWNED, Kind.CLEARED)]
        ((theirs,),) = [done for done in read([(0, bodies)]) if done]
        (listed,) = theirs.requests.values()
        assert (listed.orders, listed.offers) == (list(book.orders), list(book.offers))


# --- what it costs ----------------------------------------------------------------------------------------------

EVENING, OFFERS_OF_VOLT = 6, 40


def a_busy_evening(offers_of_volt: int = OFFERS_OF_VOLT) -> list[Book]:
    """Requests with many offers of volt's and one of acme's."""
    market = Market(kept=timedelta(hours=12))
    market.site("acme")
    market.site("volt")
    names = [f"request-{number}" for number in range(EVENING)]
    for name in names:
        assert market.ask(request_id=name, min_quantity_w=0, step_w=None).accepted
    for name in names:
        for offer in range(offers_of_volt):
            assert market.offer("volt", MW // 10, "80", offer_id=f"volt-{name}-{offer}", request_id=name).accepted
        assert market.offer("acme", MW // 10, "70", offer_id=f"acme-{name}", request_id=name).accepted
    market.run_until(utc("17:00"))
    for tracked in list(market.ledger.orders.values()):
        market.reply(tracked.order, "ACCEPTED")
    return left_by(market)


def a_still_evening() -> list[Book]:
    """The same requests, without an offer."""
    market = Market(kept=timedelta(hours=12))
    market.site("acme")
    market.site("volt")
    for number in range(EVENING):
        assert market.ask(request_id=f"request-{number}", min_quantity_w=0, step_w=None).accepted
    market.run_until(utc("17:00"))
    return left_by(market)


def somebody(role: Any, name: str) -> Principal:
    return Principal(role, name, "tests", frozenset({SIGNAL_READ}), datetime.max.replace(tzinfo=UTC))


async def test_an_answer_costs_by_what_concerns_who_asks(tmp_path: Path) -> None:
    finished = Finished(tmp_path)
    for book in a_busy_evening():
        finished.add(0, 7, book)

    async def size(name: str, kinds: Any) -> int:
        """Of all that is read, in bytes."""
        kept = await finished.touching(Question([name], kinds), ["DE-LU"], utc("16:00"), None)
        read_bytes = sum(len(body) for _, bodies in await finished.bodies(kept) for body in bodies)
        assert read_bytes == sum(one.size for one in kept)
        return read_bytes

    volts, acmes = await size("participant:volt", OFFERS), await size("participant:acme", OFFERS)
    assert 0 < acmes < volts / 5
    assert await size("participant:acme", ORDERS) <= acmes
    assert volts < await size(OPERATORS_NAME, OFFERS) < 1.1 * (acmes + volts)
    mine = Entitlements(zones=frozenset({"DE-LU"}))
    others = PastReader(finished, somebody("participant", "hyper"), mine, NOBODYS, {})
    assert await others.touching(OFFERS, mine.zones, utc("16:00"), None) == []
    assert len(await others.touching(REQUESTS, mine.zones, utc("16:00"), None)) == EVENING
    await finished.aclose()


@pytest.mark.parametrize("offers_of_volt", [0, 1, OFFERS_OF_VOLT])
async def test_nobody_s_list_of_requests_costs_by_what_others_offered(tmp_path: Path, offers_of_volt: int) -> None:
    """Its bytes are those of an evening that nobody offered anything on, which was not met."""
    zone = Question(["participant:acme", zone_name("DE-LU")], REQUESTS)

    async def listed(name: str, evening: list[Book]) -> list[tuple[int, list[bytes]]]:
        finished = Finished(tmp_path / name)
        for book in evening:
            finished.add(0, 7, book)
        kept = await finished.touching(zone, ["DE-LU"], utc("16:00"), None)
        bodies = await finished.bodies(kept)
        assert [one.size for one in kept] == [sum(map(len, parts)) for _, parts in bodies]
        await finished.aclose()
        return bodies

    assert await listed("busy", a_busy_evening(offers_of_volt)) == await listed("still", a_still_evening())


class Halted(Work):
    """Work that stops after each piece until it may go on."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self.pieces = 0
        self.halted, self.go_on = asyncio.Event(), asyncio.Event()

    async def away(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        result = await super().away(function, *args, **kwargs)
        self.pieces += 1
        self.halted.set()
        await self.go_on.wait()
        return result


async def test_others_are_answered_between_the_pieces_of_a_long_answer(tmp_path: Path) -> None:
    finished, zones, work = Finished(tmp_path), ["DE-LU"], Halted()
    for book in a_busy_evening():
        finished.add(0, 7, book)
    mine = Entitlements(zones=frozenset(zones))
    long = PastReader(finished, somebody("participant", "volt"), mine, work, {})
    async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(long.touching(OFFERS, zones, utc("16:00"), None))
        await work.halted.wait()
        short = PastReader(finished, somebody("participant", "acme"), mine, NOBODYS, {})
        assert len(await short.touching(ORDERS, zones, utc("16:00"), None)) == EVENING
        assert work.pieces == 1
        work.go_on.set()
        assert len(await reading) == EVENING
    assert work.pieces > EVENING
    await finished.aclose()
