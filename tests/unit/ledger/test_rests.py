"""Rests between activations: what the rule says, against a naive look at all of them, and what it costs to ask."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import ClearingTrigger, OrderState
from gridsignal_schemas.rules.profile import Block
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.rests import LONGEST_REST, Activations, rest_code
from gridsignal_services.ledger.tracked import TrackedOrder
from tests.builders import REQUEST_ID, a_dispatch_order, an_option, utc
from tests.unit.ledger.cost import lines_of, lines_of_each
from tests.unit.ledger.market import OPERATORS_NAME, Market
from tests.unit.ledger.zone import entry_of

NOON = utc("12:00")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def minute(number: int) -> Any:
    return NOON + timedelta(minutes=number)


def activations(blocks: Iterable[Block]) -> Activations:
    made = Activations()
    for block in blocks:
        made.add(block)
    return made


WANTED = Block(minute(60), minute(90), 1)


@pytest.mark.parametrize(
    ("first", "until", "code"),
    [(0, 44, None), (0, 46, "REST"), (0, 60, "REST"), (0, 61, None), (104, 120, "REST"), (105, 120, None)],
)
def test_a_pause_is_kept_before_and_after_but_overlapping_activations_are_one(
    first: int, until: int, code: str | None
) -> None:
    option = an_option(rest_s=900)
    assert rest_code(option, WANTED, [activations([Block(minute(first), minute(until), 1)])]) == code


@pytest.mark.parametrize(("hours", "code"), [([-24, 24], None), ([-23], "ACTIVATIONS"), ([23], "ACTIVATIONS")])
def test_a_day_is_any_twenty_four_hours(hours: list[int], code: str | None) -> None:
    others = [Block(minute(60 + 60 * hour), minute(61 + 60 * hour), 1) for hour in hours]
    assert rest_code(an_option(max_activations_per_day=1), WANTED, [activations(others)]) == code


def test_activations_on_both_sides_count_together_where_one_day_holds_them() -> None:
    twice = an_option(max_activations_per_day=2)
    near = [Block(minute(60 + 60 * hour), minute(61 + 60 * hour), 1) for hour in (-12, 6)]
    far = [Block(minute(60 + 60 * hour), minute(61 + 60 * hour), 1) for hour in (-20, 6)]
    assert rest_code(twice, WANTED, [activations(near)]) == "ACTIVATIONS"
    assert rest_code(twice, WANTED, [activations(far)]) is None


def naive_code(rest_s: int | None, most: int | None, wanted: Block, others: list[Block]) -> str | None:
    """The rules as they read, by a look at every activation and every day."""
    if rest_s is not None:
        pauses = [max(wanted.starts_at - other.ends_at, other.starts_at - wanted.ends_at) for other in others]
        if any(timedelta(0) <= pause < timedelta(seconds=rest_s) for pause in pauses):
            return "REST"
    if most is not None:
        starts = [wanted.starts_at, *(other.starts_at for other in others)]
        days = [day for day in starts if day <= wanted.starts_at < day + DAY]
        if max(sum(day <= start < day + DAY for start in starts) for day in days) > most:
            return "ACTIVATIONS"
    return None


quarters = st.integers(-4 * 30, 4 * 30)
"""Quarters of an hour around the wanted one: a little more than a day each way."""
others = st.lists(
    st.builds(
        lambda at, long: Block(minute(60 + 15 * at), minute(60 + 15 * (at + long)), 1), quarters, st.integers(0, 8)
    ),
    max_size=40,
)


@given(
    kinds=st.lists(others, max_size=3),
    rest_s=st.none() | st.integers(0, 8).map(lambda quarter: quarter * 900),
    most=st.none() | st.integers(1, 20),
)
def test_what_is_found_quickly_is_what_a_look_at_all_of_them_finds(
    kinds: list[list[Block]], rest_s: int | None, most: int | None
) -> None:
    option = an_option(rest_s=rest_s, max_activations_per_day=most)
    together = [other for kind in kinds for other in kind]
    assert rest_code(option, WANTED, list(map(activations, kinds))) == naive_code(rest_s, most, WANTED, together)


@given(others, st.data())
def test_activations_come_and_go(kept: list[Block], data: st.DataObject) -> None:
    gone = data.draw(others)
    held = activations(data.draw(st.permutations([*kept, *gone])))
    for block in gone:
        held.remove(block)
    assert held == activations(kept)
    held.drop(NOON)
    assert held == activations(kept)
    held.drop(NOON + LONGEST_REST + 2 * DAY)
    assert not held


class Counted(array):  # type: ignore[type-arg] # Python 3.11 knows no array[int]
    """Moments that count how many of them are looked at."""

    looked_at = 0

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        self.looked_at += len(found) if isinstance(at, slice) else 1
        return found


@pytest.mark.parametrize("most", [1, 3, 1440])
@pytest.mark.parametrize("apart", [timedelta(seconds=1), timedelta(minutes=10), HOUR, DAY])
def test_a_question_looks_at_few_of_thousands(apart: timedelta, most: int) -> None:
    blocks = [Block(NOON + number * apart, NOON + number * apart, 1) for number in range(-3000, 3000)]
    made = activations(blocks)
    starts, ends = Counted("q", made.starts), Counted("q", made.ends)
    between = NOON + apart / 2
    option = an_option(rest_s=0, max_activations_per_day=most)
    rest_code(option, Block(between, between, 1), [Activations(starts, ends)])
    assert 0 < starts.looked_at + ends.looked_at <= 6 * 13 + 2 * most


def held_before(count: int) -> Market:
    """Forty offers at a closed gate, of a site that has completed so many orders since yesterday."""
    market = Market("acme", power_w=4 * MW, step_w=None, min_quantity_w=0)
    for number in range(40):
        window: dict[str, Any] = {"rest_s": 60, "max_activations_per_day": count - number}
        assert market.offer("acme", MW, offer_id=f"offer-{number}", **window).accepted
    book = market.ledger.book
    for number in range(count):
        since = utc("18:00") - DAY + timedelta(minutes=number)
        order = a_dispatch_order(
            order_id=f"o-{number}", participant="acme", site="acme-1", request_id=REQUEST_ID,
            starts_at=since, ends_at=since + timedelta(seconds=30),
        )  # fmt: skip
        tracked = TrackedOrder(order, None, "before")
        book.add_order(tracked)
        tracked.state = OrderState.COMPLETED
        book.end_order(tracked)
    book.requests[REQUEST_ID].orders.clear()  # they served others
    market.run_until(market.request.gate_closure_at - timedelta(seconds=1))
    return market


def test_a_clearing_costs_no_more_for_all_that_its_sites_have_done_before() -> None:
    decisions, pieces = [], []
    for count in (100, 800):
        market = held_before(count)
        decisions.append(lines_of(partial(market.decided, ClearingTrigger.BY_HAND)))
        clearing = market.by_hand()
        assert clearing.rejected
        entry = entry_of(market, clearing, OPERATORS_NAME)
        pieces.append(max(lines_of_each(market.ledger.steps(entry))))
    assert decisions[1] < 1.1 * decisions[0], decisions
    assert pieces[1] < 1.1 * pieces[0], pieces


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 3)), max_size=12), st.integers(367, 400), st.data())
def test_what_touches_a_period_is_the_same_after_what_is_too_old_was_dropped(
    spans: list[tuple[int, int]], now: int, data: st.DataObject
) -> None:
    blocks = [Block(NOON + since * DAY, NOON + (since + days) * DAY, 1) for since, days in spans]
    kept = activations(blocks)
    kept.drop(NOON + now * DAY)
    day = data.draw(st.integers(now - 366, now))
    period = NOON + day * DAY + HOUR, NOON + day * DAY + 2 * HOUR
    assert kept.touch(*period) is any(each.starts_at < period[1] and each.ends_at > period[0] for each in blocks)
