"""A snapshot has the newest settlements: of whoever they concern, nobody else, and so many."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_schemas.messages import Settlement
from gridsignal_schemas.messages.settlements import MAX_INTERVALS
from gridsignal_services.access import SIGNAL_READ, Principal
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.standing import INTERVALS_SHOWN, SETTLEMENTS_SHOWN, settlements_seen_by
from gridsignal_services.ledger.tracked import SettledOrder, TrackedSettlement
from tests.builders import OPERATOR, a_settlement, utc
from tests.effort import examples
from tests.unit.checkpoints.test_replay_is_a_checkpoint_and_the_rest import restarted
from tests.unit.ledger.test_settling_laws import KEPT, Spoken, a_day, at_times, spoken

NEVER = utc("23:00")
LINE = a_settlement().intervals[0]
PAGE = Path(__file__).parents[3] / "schemas" / "PROTOCOL.md"


def viewer(role: Any, name: str) -> Principal:
    return Principal(role, name, "tests", frozenset({SIGNAL_READ}), datetime.max.replace(tzinfo=UTC))


PARTIES = [viewer("participant", "acme"), viewer("operator", OPERATOR)]
OTHERS = [viewer("participant", "volt"), viewer("participant", OPERATOR), viewer("operator", "acme")]


def shown(ledger: Ledger, who: Principal) -> list[Settlement]:
    return [record for record, _ in ledger.current(who) if isinstance(record, Settlement)]


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(spoken, max_size=8), at_times)
def test_the_parties_are_shown_the_newest_version_while_it_is_in_memory_and_nobody_else_any(
    said: list[Spoken], others: list[datetime]
) -> None:
    market = a_day(said, others)
    ledger = Ledger(0, KEPT)
    for entry, _ in market.log:
        ledger.apply(entry)
        newest = [each.newest for each in ledger.book.settlements.values() if each.newest is not None]
        assert [shown(ledger, who) for who in PARTIES] == [newest] * 2
        assert [shown(ledger, who) for who in OTHERS] == [[]] * 3
        assert bool(ledger.book.settled_of) == bool(newest), "it holds nobody whose settlements have left"
    assert shown(restarted(ledger), PARTIES[0]) == shown(ledger, PARTIES[0])


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["acme", "volt"]), st.booleans()), max_size=20))
def test_each_is_shown_the_newest_of_its_own_the_last_written_last(written: list[tuple[int, str, bool]]) -> None:
    book = Book()
    last: dict[str, dict[str, int]] = {"acme": {}, "volt": {}}
    for version, (number, who, leaves) in enumerate(written, 1):
        order_id = f"{who}-{number}"
        write(book, order_id, who, version, 1)
        last[who].pop(order_id, None)
        if leaves:
            book.drop_settlement(order_id)
        else:
            last[who][order_id] = version

    for who, versions in last.items():
        found = settlements_seen_by(book, viewer("participant", who))
        assert [(each.order_id, each.version) for each in found] == [*versions.items()]
    assert len(settlements_seen_by(book, viewer("operator", ""))) == sum(map(len, last.values()))


def test_their_number_and_their_intervals_are_bounded_for_each_party() -> None:
    book = Book()
    for number in range(SETTLEMENTS_SHOWN + 9):
        write(book, f"order-{number}", "acme", 1, 1)
    found = settlements_seen_by(book, viewer("participant", "acme"))
    assert [each.order_id for each in found] == [f"order-{number}" for number in range(9, SETTLEMENTS_SHOWN + 9)]

    for number in range(3):
        write(book, f"long-{number}", "volt", 1, INTERVALS_SHOWN // 2)
    assert [each.order_id for each in settlements_seen_by(book, viewer("participant", "volt"))] == ["long-1", "long-2"]
    assert settlements_seen_by(book, viewer("participant", "acme")) == found
    assert INTERVALS_SHOWN >= MAX_INTERVALS, "the newest is shown however long it is"
    assert f"up to {SETTLEMENTS_SHOWN} with {INTERVALS_SHOWN} intervals together" in PAGE.read_text("utf-8")


def write(book: Book, order_id: str, who: str, version: int, lines: int) -> None:
    record = a_settlement(order_id=order_id, participant=who, version=1, intervals=[LINE] * lines)
    settlement = record.model_copy(update={"version": version})
    tracked = TrackedSettlement(order_id, SettledOrder.named_by(settlement, NEVER - NEVER, NEVER), NEVER)
    tracked.newest = settlement
    book.add_version(tracked)
