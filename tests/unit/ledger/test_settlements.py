"""What a settlement may be, when, and what becomes of its request."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from gridsignal_schemas.messages import (
    DisputeRejected,
    RuleName,
    RunMode,
    Settlement,
    SettlementDispute,
    SettlementStatus,
)
from gridsignal_schemas.rules.lifecycle import RequestState, SettlementState
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.forgetting import forget
from gridsignal_services.ledger.past import KnownSettlement, Settlements
from gridsignal_services.ledger.pieces import in_one_go
from gridsignal_services.ledger.settlements import outlive, settlement_id_of
from gridsignal_services.ledger.tracked import SettledOrder, TrackedSettlement
from gridsignal_services.settlement.pinned import DECLARED, pinned
from gridsignal_services.settlement.rules import SettlementRule
from tests.builders import REQUEST_ID, a_dispute_rejected, a_settlement, a_settlement_dispute, utc
from tests.unit.checkpoints.test_replay_is_a_checkpoint_and_the_rest import restarted
from tests.unit.ledger.market import OPERATORS_NAME, Market

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULE = SettlementRule(
    name="short",
    version=1,
    provisional_after_s=3600,
    missing_after_s=0,
    final_after_s=7200,
    dispute_window_s=3600,
    corrections_until_s=36_000,
)
CORRECTED = timedelta(days=1098)
LONG = RULE.model_copy(update={"name": "long", "corrections_until_s": CORRECTED // timedelta(seconds=1)})
END = utc("18:45")


def test_a_request_whose_rule_is_not_what_its_hash_says_is_refused() -> None:
    rule = pinned(RULE)
    market = Market()
    market.site("acme")
    faults = {
        "RULE_HASH": {"settlement": rule.model_copy(update={"sha256": "0" * 64})},
        "RULE": {"settlement": rule.model_copy(update={"version": 2})},
    }

    for code, fields in faults.items():
        assert market.ask(**fields).code == code
    assert market.ask(baseline_method=DECLARED.model_copy(update={"sha256": "0" * 64})).code == "RULE_HASH"
    assert market.ask(settlement=rule, baseline_method=DECLARED).accepted


def test_an_amendment_keeps_the_rule() -> None:
    market = Market("acme", settlement=pinned(RULE))

    assert market.ask(revision=2, settlement=None).code == "NOT_CHANGEABLE"
    assert market.ask(revision=2, settlement=pinned(RULE)).accepted


def test_versions_come_when_the_rule_says_so_and_silence_settles_the_request() -> None:
    market = delivered(settlement=pinned(RULE))
    assert state_of(market) is SettlementState.DUE

    market.run_until(END + HOUR)
    assert tracked(market).owed is SettlementStatus.PROVISIONAL
    assert settle(market, "PROVISIONAL").accepted
    market.run_until(END + 2 * HOUR)
    assert tracked(market).owed is SettlementStatus.FINAL
    assert settle(market, "FINAL").accepted
    assert market.ledger.requests[REQUEST_ID].state is RequestState.COMPLETED
    market.run_until(END + 3 * HOUR)

    assert state_of(market) is SettlementState.SETTLED
    assert market.ledger.requests[REQUEST_ID].state is RequestState.SETTLED
    market.replayed()


def test_what_is_not_owed_or_not_the_next_or_by_another_rule_is_refused() -> None:
    market = delivered(settlement=pinned(RULE))

    assert settle(market, "PROVISIONAL").code == "NOT_OVER"  # before its time
    market.run_until(END + HOUR)
    assert settle(market, "FINAL").code == "NOT_OVER"
    assert settle(market, "CORRECTED").code == "NOT_OVER"
    assert settle(market, "PROVISIONAL", version=2, supersedes=1).code == "SETTLEMENT_VERSION"
    assert settle(market, "PROVISIONAL", rule=RuleName(name="short", version=1, sha256="0" * 64)).code == (
        "RULE_OF_REQUEST"
    )
    assert settle(market, "PROVISIONAL", site="elsewhere-1").code == "NOT_OVER"
    assert settle(market, "PROVISIONAL", settlement_id="another").code == "NOT_OVER"
    assert settle(market, "PROVISIONAL", principal="participant:acme").code == "NOT_OWED"
    assert settle(market, "PROVISIONAL").accepted
    assert settle(market, "PROVISIONAL", version=1, supersedes=None).code == "SETTLEMENT_VERSION"


@pytest.mark.parametrize("fields", [{"settlement": None}, {"settlement": pinned(RULE), "run_mode": RunMode.DRY_RUN}])
def test_a_dry_run_and_a_request_without_a_rule_are_not_settled(fields: dict[str, Any]) -> None:
    market = delivered(**fields)
    market.run_until(END + 9 * HOUR)

    assert not market.ledger.book.settlements
    assert market.ledger.requests[REQUEST_ID].state is RequestState.COMPLETED


def test_a_test_activation_is_settled() -> None:
    market = delivered(settlement=pinned(RULE), run_mode=RunMode.TEST_ACTIVATION)

    assert state_of(market) is SettlementState.DUE


def test_a_final_version_is_disputed_by_its_participant_alone_once_for_each_reason_within_its_window() -> None:
    market = final()

    assert dispute(market, principal="participant:volt").code == "SETTLEMENT_UNKNOWN"
    assert dispute(market, version=1).code == "SETTLEMENT_VERSION"
    first = dispute(market)
    assert first.accepted
    again = dispute(market, actor="another desk")
    assert again.duplicate
    assert again.receipt == first.receipt
    assert dispute(market, text="another text").code == "CONFLICT"
    assert dispute(market, reason_code="baseline").accepted
    assert market.ledger.requests[REQUEST_ID].state is RequestState.DISPUTED
    market.run_until(END + 4 * HOUR)
    assert dispute(market, reason_code="late").code == "DISPUTE_WINDOW"
    assert state_of(market) is SettlementState.DISPUTED
    market.replayed()


def test_a_dispute_that_the_operator_rejects_leaves_the_version_as_it_is() -> None:
    market = final()
    dispute(market)
    dispute(market, reason_code="baseline")

    assert reject(market, principal="participant:acme").code == "SETTLEMENT_UNKNOWN"
    assert reject(market, reason_code="nothing").code == "DISPUTE_UNKNOWN"
    assert reject(market).accepted
    assert reject(market).duplicate
    assert reject(market, reason="another").code == "DISPUTE_UNKNOWN"
    assert state_of(market) is SettlementState.DISPUTED
    assert reject(market, reason_code="baseline").accepted
    market.run_until(END + 4 * HOUR)

    assert market.ledger.requests[REQUEST_ID].state is RequestState.SETTLED
    market.replayed()


@pytest.mark.parametrize("status", ["PROVISIONAL", "FINAL", "CORRECTED"])
def test_a_settlement_is_found_as_disputed_for_as_long_as_a_dispute_waits(status: str) -> None:
    market = delivered(settlement=pinned(RULE))
    market.run_until(END + HOUR)
    settle(market, "PROVISIONAL")
    if status != "PROVISIONAL":
        market.run_until(END + 2 * HOUR)
        settle(market, "FINAL")
    if status == "CORRECTED":
        settle(market, status)

    for said, waits in ((lambda: True, False), (lambda: dispute(market), True), (lambda: reject(market), False)):
        assert said()
        found = {state for state in SettlementState if tracked(market).is_asked_for(state)}
        assert found == {state_of(market)} | ({SettlementState.DISPUTED} if waits else set())
        assert tracked(market).is_asked_for(None)


def test_a_correction_answers_disputes_and_opens_the_window_again_until_the_rule_ends_it() -> None:
    market = final()
    dispute(market)

    assert settle(market, "CORRECTED").accepted
    assert state_of(market) is SettlementState.FINAL
    market.run_until(END + 4 * HOUR)
    assert market.ledger.requests[REQUEST_ID].state is RequestState.SETTLED
    assert settle(market, "CORRECTED").accepted
    assert market.ledger.requests[REQUEST_ID].state is RequestState.COMPLETED
    assert dispute(market).accepted  # another version, so the same reason again
    market.run_until(END + 11 * HOUR)
    assert settle(market, "CORRECTED").code == "NOT_OVER"
    market.replayed()


def test_disputes_of_a_version_are_bounded() -> None:
    market = final()
    for number in range(LIMITS.disputes_of_version):
        assert dispute(market, reason_code=f"reason-{number}").accepted

    assert dispute(market).code == "DISPUTES"


def test_versions_of_a_settlement_are_bounded() -> None:
    market = final()
    for _ in range(LIMITS.versions_of_settlement - 2):
        assert settle(market, "CORRECTED").accepted

    assert settle(market, "CORRECTED").code == "NOT_OVER"


def test_a_request_stays_in_memory_until_it_is_settled() -> None:
    market = final(kept=timedelta(minutes=1))
    dispute(market)
    market.run_until(END + 20 * HOUR)
    market.baseline("acme", 40_000_000)
    assert REQUEST_ID in market.ledger.requests

    reject(market)
    market.run_until(END + 21 * HOUR)
    market.baseline("acme", 40_000_000)

    assert REQUEST_ID not in market.ledger.requests
    assert not market.ledger.book.settlements
    market.replayed()


def test_an_order_that_left_months_ago_is_corrected_disputed_and_stands_again() -> None:
    market = left()
    order = a_settlement_of(market, "CORRECTED")
    market.now = END + 60 * DAY
    assert settle_as(market, order, total=Decimal(7)).accepted
    assert tracked(market).state is SettlementState.FINAL

    assert dispute(market).accepted
    assert tracked(market).state is SettlementState.DISPUTED
    assert reject(market).accepted
    market.run_for(hours=2)
    assert settle_as(market, order, version=3).code == "SETTLEMENT_VERSION"

    assert not market.ledger.book.settlements
    assert market.ledger.book == restarted(market.ledger).book
    assert settle_as(market, order, version=4, supersedes=3).accepted
    assert tracked(market).version == 4
    market.replayed()


def test_what_does_not_fit_a_settlement_that_left_is_refused() -> None:
    market = left()
    order = a_settlement_of(market, "CORRECTED")

    for status in ("PROVISIONAL", "FINAL"):
        assert settle_as(market, order, status=SettlementStatus(status)).code == "NOT_OVER"
    for name in ("zone", "request_id", "participant", "site", "settlement_id"):
        assert settle_as(market, order, **{name: "another"}).code in ("NOT_OVER", "NOT_OWED")
    assert settle_as(market, order, rule=order.rule.model_copy(update={"version": 2})).code == "NOT_OVER"
    assert settle_as(market, order, version=4).code == "SETTLEMENT_VERSION"
    disputed = {name: getattr(order, name) for name in ("zone", "request_id", "participant", "site", "order_id")}
    late = a_settlement_dispute(**disputed, settlement_id=order.settlement_id, version=2)
    assert market.add(late, "participant:acme").code == "SETTLEMENT_UNKNOWN"
    market.now = END + CORRECTED - HOUR
    assert settle_as(market, order).accepted
    market.now = END + CORRECTED + HOUR
    assert settle_as(market, order, version=4, supersedes=3).code == "NOT_OVER"


def test_what_is_known_of_settlements_takes_43_bytes_and_goes_when_nothing_corrects_it_any_more() -> None:
    known, now = Settlements(), utc("18:00")
    settlement = KnownSettlement(3, now, now + DAY, timedelta(days=14))
    for number in range(2000):
        known.add(f"o-{number}", (number,), settlement, now)

    assert known.find("o-7", (7,)) == settlement
    assert known.find("o-7", (8,)) is None
    assert known.find("o-2000", (7,)) is None
    assert len(known) == 2000
    shards = known._shards.values()
    assert sum(map(len, shards)) == 43 * 2000
    known.add("o-7", (7,), settlement._replace(version=4), now)
    assert known.find("o-7", (7,)) == settlement._replace(version=4)
    for number in range(100_000, 140_000):
        known.add(f"o-{number}", (), settlement._replace(corrected_until=now + 9 * DAY), now + 2 * DAY)
    assert len(known) == 40_000


def test_settlements_whose_orders_left_are_bounded_by_operator() -> None:
    """The first leaves: one that is final is known, and its window was cut short; of another no version follows."""
    book, version = Book(now=END), a_settlement(status="FINAL")
    of = SettledOrder.named_by(version, timedelta(days=14), END + DAY)
    for number in range(LIMITS.settlements_outliving + 2):
        order_id = f"o-{number}"
        settlement = TrackedSettlement(order_id, of, END, SettlementState.FINAL if number else SettlementState.DUE)
        settlement.newest = version.model_copy(update={"order_id": order_id}) if number else None
        book.settlements[order_id] = settlement
        outlive(book, settlement)
        gone: list[Book] = []
        in_one_go(forget(book, gone))

    assert len(book.settlements) == LIMITS.settlements_outliving
    assert [name for each in gone for name in each.settlements] == ["o-1"]
    assert len(book.past.settlements) == 1


def left() -> Market:
    """An order that is settled and has left memory, but for what is known of its settlement."""
    market = final(LONG, kept=timedelta(minutes=1))
    market.run_until(END + 9 * HOUR)
    market.baseline("acme", 40_000_000)
    assert not market.ledger.orders
    assert not market.ledger.book.settlements
    return market


def a_settlement_of(market: Market, status: str) -> Settlement:
    """The next version of what was written last."""
    *_, last = [
        entry.record for entry, outcome in market.log if outcome.accepted and isinstance(entry.record, Settlement)
    ]
    version = {"version": last.version + 1, "supersedes": last.version}
    return last.model_copy(update={"status": SettlementStatus(status), **version})


def settle_as(market: Market, settlement: Settlement, **changes: Any) -> Outcome:
    return market.add(settlement.model_copy(update=changes), "service:dispatch")


def delivered(kept: timedelta = timedelta(days=1), **request: Any) -> Market:
    """An order that was accepted, and whose period is over."""
    market = Market("acme", kept=kept, **request)
    market.offer("acme")
    market.close()
    market.answer("acme")
    market.run_until(END)
    return market


def final(rule: SettlementRule = RULE, **changes: Any) -> Market:
    market = delivered(settlement=pinned(rule), **changes)
    market.run_until(END + HOUR)
    assert settle(market, "PROVISIONAL").accepted
    market.run_until(END + 2 * HOUR)
    assert settle(market, "FINAL").accepted
    return market


def tracked(market: Market) -> TrackedSettlement:
    (found,) = market.ledger.book.settlements.values()
    return found


def state_of(market: Market) -> SettlementState:
    return tracked(market).state


def _address(market: Market) -> dict[str, Any]:
    settlement = tracked(market)
    address = {name: getattr(settlement.of, name) for name in ("zone", "request_id", "participant", "site")}
    return address | {"order_id": settlement.order_id, "settlement_id": settlement_id_of(settlement.order_id)}


def settle(market: Market, status: str, principal: str = "service:dispatch", **changes: Any) -> Outcome:
    version = tracked(market).version
    fields = _address(market) | {
        "version": version + 1,
        "supersedes": version or None,
        "status": status,
        "rule": tracked(market).of.rule,
        "total": Decimal(version),
    }
    record: Settlement = a_settlement(**fields | changes)
    return market.add(record, principal)


def dispute(market: Market, principal: str = "participant:acme", **changes: Any) -> Outcome:
    fields = _address(market) | {"version": tracked(market).version}
    record: SettlementDispute = a_settlement_dispute(**fields | changes)
    return market.add(record, principal)


def reject(market: Market, principal: str = OPERATORS_NAME, **changes: Any) -> Outcome:
    fields = _address(market) | {"version": tracked(market).version}
    record: DisputeRejected = a_dispute_rejected(**fields | changes)
    return market.add(record, principal)
