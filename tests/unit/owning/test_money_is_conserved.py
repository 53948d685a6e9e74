"""Whatever becomes of an evening's orders and readings: money is conserved, nothing is paid twice, versions grow.

Two operators ask two sites for power at overlapping times, by rules with different periods. Readings come late, again,
corrected or never; owners die between any two records; orders leave memory and are corrected all the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gridsignal_schemas.messages import DispatchOrder, Settlement, SiteMeter
from gridsignal_schemas.rules.lifecycle import ORDER_OVER, ORDER_UNANSWERED
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.tracked import TrackedDispute, TrackedOrder
from tests.builders import (
    a_dispatch_request,
    a_dispute_rejected,
    a_meter_reading,
    a_request_cancellation,
    a_settlement_dispute,
    a_site_registration,
    utc,
)
from tests.effort import examples
from tests.unit.owning.laws_of_settling import (
    BASELINE_W,
    LAWS,
    OPERATORS,
    PERIODS,
    RULES,
    SITES,
    what_held_is_settled,
)
from tests.unit.owning.two_nodes import TwoNodes

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
GATE, EXCHANGE = utc("17:00"), utc("18:20")
SPANS = [
    *((utc("18:00") + at * 15 * MINUTE, utc("18:15") + at * 15 * MINUTE) for at in range(4)),
    (utc("18:15"), EXCHANGE),
    (EXCHANGE, utc("18:30")),
]
MOMENTS = [
    *(utc(each) for each in ("17:05", "18:00", "18:12", "18:31", "18:45", "19:00", "19:45", "20:00", "20:45", "21:00")),
    *(utc("21:00") + at * DAY for at in (0.1, 1, 4, 9, 11, 19, 22, 30)),
]
"""Each is at or after something that is waited for."""

sites = st.sampled_from(SITES)
requests = st.sampled_from(list(OPERATORS))
megawatts = st.integers(22, 42)
an_offer = st.tuples(st.integers(2, 14), st.integers(-20, 120))
offered = st.sampled_from([True, True, True, False]).flatmap(lambda is_made: an_offer if is_made else st.none())
terms = st.fixed_dictionaries(
    {
        "power_w": st.integers(4, 20).map(lambda each: each * MW),
        "run_mode": st.sampled_from(["LIVE", "LIVE", "LIVE", "TEST_ACTIVATION", "DRY_RUN"]),
        "pricing": st.sampled_from(["PAY_AS_BID", "PAY_AS_CLEARED"]),
    }
)


class Evening(RuleBasedStateMachine):
    """Operators, sites, meters, owners and time do what they like."""

    @initialize(
        asked=st.lists(terms, min_size=2, max_size=2),
        offers=st.lists(offered, min_size=4, max_size=4),
        answers=st.lists(st.sampled_from(["ACCEPTED", "ACCEPTED", "ACCEPTED", "REFUSED"]), min_size=3, max_size=8),
        metered=st.lists(megawatts, min_size=2, max_size=2),
        at=st.sampled_from([GATE, *MOMENTS[:14]]),
    )
    def open(
        self,
        asked: list[dict[str, Any]],
        offers: list[tuple[int, int] | None],
        answers: list[str],
        metered: list[int],
        at: datetime,
    ) -> None:
        """Somewhere in the evening, of which meters have said something."""
        self.zone = TwoNodes()
        for who in SITES:
            self.zone.site(who, baseline_w=BASELINE_W)
        for (request_id, operator), told in zip(OPERATORS.items(), asked, strict=True):
            starts_at, ends_at = PERIODS[request_id]
            fields = told | {"operator": operator, "settlement": RULES[request_id]}
            request = a_dispatch_request(request_id=request_id, starts_at=starts_at, ends_at=ends_at, **fields)
            assert self.zone.add(request, _operator_of(request_id)).accepted
        pairs = [(who, request_id) for who in SITES for request_id in OPERATORS]
        for (who, request_id), offer in zip(pairs, offers, strict=True):
            if offer is not None:
                self._offer(who, request_id, *offer)
        self.zone.run_until(GATE)
        for answer in answers:
            unanswered = [each for each in self.zone.ledger.orders.values() if each.state in ORDER_UNANSWERED]
            if unanswered:
                self.zone.reply(unanswered[0].order, answer)
                self.zone.act()
        self.zone.run_until(at)
        for who, power in zip(SITES, metered, strict=True):
            self.read(who, SPANS[:4], power, 1, "main")

    def _offer(self, who: str, request_id: str, power: int, price: int) -> None:
        self.zone.offer(
            who,
            power * MW,
            str(price),
            offer_id=f"{who}-{request_id}",
            request_id=request_id,
            starts_at=utc("18:00"),
            ends_at=utc("19:00"),
            max_duration_s=3600,
            activation_fee=Decimal(7) if power % 2 else None,
        )

    def _order(self, at: int) -> TrackedOrder | None:
        orders = [*self.zone.ledger.orders.values()]
        live = [order for order in orders if order.state not in ORDER_OVER] or orders
        return live[at % len(live)] if live else None

    def _versions(self) -> list[tuple[Settlement, list[TrackedDispute]]]:
        """The newest of each settlement in memory, and what is held against it."""
        settlements = self.zone.ledger.book.settlements.values()
        return [(each.newest, each.open_disputes) for each in settlements if each.newest is not None]

    # --- operators and sites -------------------------------------------------------------------------------------

    @precondition(lambda self: self.zone.now < utc("18:31"))
    @rule(at=st.integers(0, 3), says=st.sampled_from(["ACCEPTED", "REFUSED", "COMPLETED"]))
    def answer(self, at: int, says: str) -> None:
        if (tracked := self._order(at)) is not None:
            self.zone.reply(tracked.order, says)

    @precondition(lambda self: self.zone.now < utc("17:10"))
    @rule()
    def everyone_accepts(self) -> None:
        for tracked in list(self.zone.ledger.orders.values()):
            if tracked.state in ORDER_UNANSWERED:
                self.zone.reply(tracked.order, "ACCEPTED")

    @precondition(lambda self: self.zone.now < utc("19:00"))
    @rule(at=st.integers(0, 3), tenths=st.integers(0, 10))
    def derate(self, at: int, tenths: int) -> None:
        if (tracked := self._order(at)) is not None:
            self.zone.reply(tracked.order, "UNAVAILABLE", available_w=tracked.power_w * tenths // 10)

    @precondition(lambda self: self.zone.now < utc("19:00"))
    @rule(at=st.integers(0, 3), minutes=st.integers(-30, 5))
    def change_the_end(self, at: int, minutes: int) -> None:
        tracked = self._order(at)
        if tracked is None or tracked.order.ends_at is None:
            return
        order = tracked.order
        fields = {
            "revision": order.revision + 1,
            "power_w": tracked.power_w,
            "state": tracked.state,
            "ends_at": max(order.starts_at + MINUTE, tracked.order.ends_at + minutes * MINUTE),
            "actor": _operator_of(order.request_id),
        }
        self.zone.add(DispatchOrder(**dict(order) | fields), _operator_of(order.request_id))

    @precondition(lambda self: self.zone.now < utc("19:00"))
    @rule(request_id=requests, really=st.booleans())
    def cancel(self, request_id: str, really: bool) -> None:
        if really:
            self.zone.add(a_request_cancellation(request_id=request_id), _operator_of(request_id))

    @precondition(lambda self: self._versions())
    @rule(at=st.integers(0, 3), reason=st.sampled_from(["readings", "baseline"]))
    def dispute(self, at: int, reason: str) -> None:
        versions = self._versions()
        version, _ = versions[at % len(versions)]
        fields = _named(version) | {"reason_code": reason}
        self.zone.add(a_settlement_dispute(**fields), f"participant:{version.participant}")

    @precondition(lambda self: any(disputes for _, disputes in self._versions()))
    @rule(at=st.integers(0, 3))
    def reject(self, at: int) -> None:
        disputed = [(version, disputes) for version, disputes in self._versions() if disputes]
        version, disputes = disputed[at % len(disputed)]
        fields = _named(version) | {"reason_code": disputes[0].dispute.reason_code}
        assert self.zone.add(a_dispute_rejected(**fields), _operator_of(version.request_id)).accepted

    # --- meters --------------------------------------------------------------------------------------------------

    @rule(
        who=sites,
        spans=st.lists(st.sampled_from(SPANS), min_size=1, max_size=6),
        power=megawatts,
        seq=st.sampled_from([1, 2, 3, None, None]),
        meter=st.sampled_from(["main", "main", "main", "new"]),
    )
    def read(self, who: str, spans: list[tuple[datetime, datetime]], power: int, seq: int | None, meter: str) -> None:
        """The newest word on the spans; with a `seq` it may be older than others."""
        seq = seq or len(self.zone.said) + 4
        for at, (starts_at, ends_at) in enumerate(spans):
            self.zone.say(
                a_meter_reading(
                    participant=who,
                    site=f"{who}-1",
                    meter=meter,
                    starts_at=starts_at,
                    ends_at=ends_at,
                    import_w=(power + at) * MW,
                    seq=seq,
                )
            )

    @precondition(lambda self: self.zone.said)
    @rule(at=st.integers(0, 200))
    def read_again(self, at: int) -> None:
        reading, logged_at = self.zone.said[at % len(self.zone.said)]
        self.zone.act()
        if reading.ends_at <= logged_at:
            self.zone.say(reading)
            assert self.zone.owed() == []

    @precondition(lambda self: self.zone.now < utc("19:30"))
    @rule(who=sites)
    def exchange_the_meter(self, who: str) -> None:
        meters = [SiteMeter(meter="main", until=EXCHANGE), SiteMeter(meter="new", since=EXCHANGE)]
        self.zone.add(a_site_registration(site=f"{who}-1", participant=who, revision=2, meters=meters))

    # --- the log and time ----------------------------------------------------------------------------------------

    @rule(at=st.integers(0, 10_000))
    def repeat(self, at: int) -> None:
        self.zone.add_again(at)

    @rule(written=st.integers(0, 3), by_checkpoint=st.booleans())
    def the_owner_dies(self, written: int, by_checkpoint: bool) -> None:
        for record in self.zone.owed()[:written]:
            self.zone.add(record)
        self.zone.replace_owner(by_checkpoint=by_checkpoint)

    @rule()
    def two_owners_act(self) -> None:
        for record in self.zone.owed():
            counts = [self.zone.add(record).accepted for _ in range(2)]
            assert not counts[1]

    def _later(self, ahead: int) -> datetime:
        later = [each for each in MOMENTS if each > self.zone.now]
        return later[min(ahead, len(later) - 1)] if later else self.zone.now

    @rule(ahead=st.integers(0, 2))
    def time_passes(self, ahead: int) -> None:
        self.zone.run_until(self._later(ahead))

    @rule(ahead=st.integers(0, 1))
    def nobody_owns_the_zone_for_a_while(self, ahead: int) -> None:
        self.zone.now = self._later(ahead)

    @rule()
    def something_else_is_logged(self) -> None:
        """What can leave memory leaves with it."""
        self.zone.cancel("none")
        self.zone.act()

    # --- laws ----------------------------------------------------------------------------------------------------

    @invariant()
    def all_laws_hold(self) -> None:
        for law in LAWS:
            law(self.zone)

    def teardown(self) -> None:
        """The rest of the month passes."""
        if not hasattr(self, "zone"):
            return
        for moment in (utc("22:00"), utc("2024-05-14T22:00"), utc("2024-06-30T00:00")):
            self.zone.run_until(max(self.zone.now, moment))
            self.something_else_is_logged()
            self.all_laws_hold()
        what_held_is_settled(self.zone)


def _operator_of(request_id: str) -> str:
    return f"operator:{OPERATORS[request_id]}"


def _named(version: Settlement) -> dict[str, Any]:
    """What names a version in all that is said about it."""
    names = ("zone", "request_id", "participant", "site", "order_id", "settlement_id", "version")
    return {name: getattr(version, name) for name in names}


Evening.TestCase.settings = settings(
    max_examples=examples(80), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnyEvening = Evening.TestCase
