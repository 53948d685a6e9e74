"""What holds of an evening's settlements at every moment, whatever became of its orders and readings.

What meters said is counted anew here, from the readings as they came.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from operator import itemgetter

from gridsignal_schemas.messages import MeterReading, RunMode, SettledInterval, Settlement, SettlementStatus
from gridsignal_schemas.rules.lifecycle import ORDER_NEVER_HELD, ORDER_OVER, SettlementState
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.delivered import meters_of
from gridsignal_services.settlement.energy import WATT_US_PER_WH, Energies, Mean, net_means, of_these
from gridsignal_services.settlement.pinned import pinned
from gridsignal_services.settlement.rules import Missing, SettlementRule
from gridsignal_services.settlement.settling import flows
from tests.builders import utc
from tests.unit.owning.two_nodes import TwoNodes

HOUR = timedelta(hours=1)
SITES = ("acme", "volt")
BASELINE_W, CAPACITY_W = 40 * MW, 60 * MW
NIGHT = utc("18:00"), utc("19:00")
_QUARTERS = SettlementRule(
    name="quarters",
    version=1,
    provisional_after_s=3600,
    missing_after_s=5400,
    final_after_s=7200,
    dispute_window_s=3600,
    corrections_until_s=10 * 86_400,
)
_HALVES = _QUARTERS.model_copy(
    update={
        "name": "halves",
        "interval_s": 1800,
        "missing": Missing.ZERO,
        "tolerance_share": Decimal("0.05"),
        "dispute_window_s": 3 * 86_400,
        "corrections_until_s": 20 * 86_400,
    }
)
OPERATORS = {"one": "tso-north", "two": "dso-south"}
"""Of each request."""
_RULES = {"one": _QUARTERS, "two": _HALVES}
RULES = {request_id: pinned(told) for request_id, told in _RULES.items()}
PERIODS = {"one": (utc("18:00"), utc("18:45")), "two": (utc("18:10"), utc("19:00"))}


def versions_grow_by_one_and_one_of_them_is_final(zone: TwoNodes) -> None:
    for versions in zone.settled.values():
        made = [each for each, _ in versions]
        statuses = [each.status for each in made]
        assert [each.version for each in made] == list(range(1, len(made) + 1))
        assert [each.supersedes for each in made] == [None, *range(1, len(made))]
        assert SettlementStatus.PROVISIONAL not in statuses[1:]
        until_final = statuses.index(SettlementStatus.FINAL) + 1 if SettlementStatus.FINAL in statuses else len(made)
        assert until_final <= 2
        assert set(statuses[until_final:]) <= {SettlementStatus.CORRECTED}
        for before, each in pairwise(made):
            is_news = (before.intervals, before.missing) != (each.intervals, each.missing)
            assert is_news or each.status is SettlementStatus.FINAL


def no_version_comes_after_corrections_have_ended(zone: TwoNodes) -> None:
    for versions in zone.settled.values():
        for each, logged_at in versions:
            assert each.status is not SettlementStatus.CORRECTED or logged_at <= _corrected_until(each)


def money_is_conserved(zone: TwoNodes) -> None:
    owed = dict.fromkeys([*SITES, *OPERATORS.values()], Decimal(0))
    for each in _newest(zone):
        owed[each.participant] += each.total
        owed[OPERATORS[each.request_id]] -= each.total
    for versions in zone.settled.values():
        for each, _ in versions:
            fee = each.activation_fee or Decimal(0)
            assert sum((line.amount or Decimal(0) for line in each.intervals), fee) == each.total
    paid = flows((each.participant, OPERATORS[each.request_id], each.total) for each in _newest(zone))
    assert sum(paid.values()) == 0
    assert {who: amount for who, amount in owed.items() if who in paid} == paid


def of_each_interval_the_first_word_of_the_highest_seq_counts(zone: TwoNodes) -> None:
    for who in SITES:
        held = zone.owner.said(f"{who}-1", who, *NIGHT).held
        assert [each.reading for each in held] == _counting(zone, who)


def an_owner_at_rest_has_counted_all_that_was_said_in_time(zone: TwoNodes) -> None:
    for version in _newest_of_all_readings(zone):
        energies = Energies(_means(zone, version.participant))
        for line in version.intervals:
            watt_us = energies.over(line.starts_at, line.ends_at).watt_us
            assert (line.actual_wh is None) == (watt_us is None)
            assert abs((line.actual_wh or 0) - Fraction(watt_us or 0) / WATT_US_PER_WH) < 1


def what_a_site_moved_is_paid_once(zone: TwoNodes) -> None:
    """Versions are compared once all of them are of the same readings."""
    versions = _newest_of_all_readings(zone)
    for who in SITES:
        lines = [line for each in versions if each.participant == who for line in each.intervals]
        delivered_wh = sum(line.delivered_wh or 0 for line in lines)
        assert delivered_wh <= _moved_wh(zone, who, lines) + len(lines)  # each is rounded by less than one


LAWS = (
    TwoNodes.are_the_same,
    versions_grow_by_one_and_one_of_them_is_final,
    no_version_comes_after_corrections_have_ended,
    money_is_conserved,
    of_each_interval_the_first_word_of_the_highest_seq_counts,
    an_owner_at_rest_has_counted_all_that_was_said_in_time,
    what_a_site_moved_is_paid_once,
)
"""At every moment."""


def what_held_is_settled(zone: TwoNodes) -> None:
    """In the end: an order that held its site has one final version; a dry run, and what never held, has none."""
    orders = dict(zone.ledger.orders)
    for order_id, book in zone.owner.left.items():
        orders[order_id] = book.orders[order_id]
    assert zone.settled.keys() <= orders.keys()
    for order_id, tracked in orders.items():
        statuses = [each.status for each, _ in zone.settled.get(order_id, [])]
        is_paid = tracked.state not in ORDER_NEVER_HELD and tracked.order.run_mode is not RunMode.DRY_RUN
        assert tracked.state in ORDER_OVER
        assert statuses.count(SettlementStatus.FINAL) == is_paid
        assert bool(statuses) == is_paid
    book = zone.ledger.book
    assert book.timers.next() is None
    assert {each.state for each in book.settlements.values()} <= {SettlementState.SETTLED, SettlementState.DISPUTED}


def _newest(zone: TwoNodes) -> list[Settlement]:
    return [versions[-1][0] for versions in zone.settled.values()]


def _newest_of_all_readings(zone: TwoNodes) -> list[Settlement]:
    """Those that are final, and that a reading would still correct; none while the owner has something to write."""
    if zone.owed():
        return []
    final = [each for each in _newest(zone) if each.status is not SettlementStatus.PROVISIONAL]
    return [each for each in final if zone.now <= _corrected_until(each)]


def _corrected_until(version: Settlement) -> datetime:
    """Of one that has no line, for its order ended as it began, nothing can be corrected."""
    ends_at = version.intervals[-1].ends_at if version.intervals else PERIODS[version.request_id][0]
    return ends_at + timedelta(seconds=_RULES[version.request_id].corrections_until_s)


def _counting(zone: TwoNodes, who: str) -> list[MeterReading]:
    """What counts of what a site's meters have said, as it came."""
    found: dict[tuple[object, ...], tuple[int, MeterReading]] = {}
    for at, (each, logged_at) in enumerate(zone.said):
        place = each.meter, each.starts_at, each.ends_at
        is_measured = each.participant == who and each.ends_at <= logged_at
        if is_measured and (place not in found or each.seq > found[place][1].seq):
            found[place] = at, each
    return [each for _, each in sorted(found.values(), key=itemgetter(0))]


def _means(zone: TwoNodes, who: str) -> list[Mean]:
    meters = meters_of(zone.ledger.book, f"{who}-1")
    return net_means(of_these(_counting(zone, who), meters), CAPACITY_W, meters)


def _moved_wh(zone: TwoNodes, who: str, lines: list[SettledInterval]) -> Fraction:
    """By how much the site drew less than its baseline wherever any of these lies, if it did."""
    means = _means(zone, who)
    edges = {edge for each in (*lines, *means) for edge in (each.starts_at, each.ends_at)}
    moved = Fraction(0)
    for since, until in pairwise(sorted(edges)):
        drawn_w = [each.net_w for each in means if each.starts_at <= since < each.ends_at and each.net_w is not None]
        if drawn_w and any(line.starts_at <= since < line.ends_at for line in lines):
            moved += max(Fraction(0), BASELINE_W - Fraction(*drawn_w)) * Fraction((until - since) / HOUR)
    return moved
