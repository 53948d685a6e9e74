"""An order's answers given once more, and the order as a snapshot tells it: what a program meets after a restart."""

from __future__ import annotations

from typing import Any

import pytest

from gridsignal_schemas.messages import DispatchOrder, OrderState
from gridsignal_schemas.values import MW
from tests.builders import utc
from tests.unit.ledger.market import OWNER, Market
from tests.unit.ledger.stages import accepted, closed, running


def _refused() -> Market:
    market = closed()
    market.answer("acme", "REFUSED")
    return market


def _part() -> Market:
    market = closed()
    market.answer("acme", accepted_w=5 * MW)
    return market


def _sustaining() -> Market:
    market = running()
    market.answer("acme", "SUSTAINING")
    return market


def _completed() -> Market:
    market = running()
    market.run_until(utc("19:00"))
    return market


@pytest.mark.parametrize(
    ("stage", "response", "said"),
    [
        (closed, "ACCEPTED", {}),
        (accepted, "RECEIVED", {}),
        (accepted, "ACCEPTED", {}),
        (accepted, "ACCEPTED", {"accepted_w": 12 * MW}),
        (_part, "ACCEPTED", {}),
        (_part, "ACCEPTED", {"accepted_w": 5 * MW}),
        (_refused, "RECEIVED", {}),
        (_refused, "REFUSED", {}),
        (running, "RECEIVED", {}),
        (running, "ACCEPTED", {}),
        (running, "STARTED", {}),
        (_sustaining, "RECEIVED", {}),
        (_sustaining, "ACCEPTED", {}),
        (_sustaining, "STARTED", {}),
        (_sustaining, "SUSTAINING", {}),
        (_completed, "RECEIVED", {}),
        (_completed, "STARTED", {}),
        (_completed, "COMPLETED", {}),
    ],
)
def test_an_answer_that_says_what_is_so_already_is_acknowledged_and_moves_nothing(
    stage: Any, response: str, said: dict[str, Any]
) -> None:
    market = stage()
    market.act()
    if stage is closed:
        market.answer("acme", response, **said)
        market.act()
    order, state = market.order("acme"), market.state
    before = (order.state, order.power_w, order.order)
    again = market.answer("acme", response, response_id="again", **said)
    assert (again.accepted, again.faults) == (True, ())
    assert (order.state, order.power_w, order.order) == before
    assert not market.act()
    assert market.state is state


@pytest.mark.parametrize(
    ("stage", "response", "said", "code"),
    [
        (_part, "ACCEPTED", {"accepted_w": 6 * MW}, "ILLEGAL_STATE"),
        (accepted, "ACCEPTED", {"accepted_w": 5 * MW}, "ILLEGAL_STATE"),
        (accepted, "ACCEPTED", {"revision": 2}, "REVISION"),
        (accepted, "REFUSED", {}, "ILLEGAL_STATE"),
        (_refused, "ACCEPTED", {}, "ILLEGAL_STATE"),
        (_refused, "STARTED", {}, "ILLEGAL_STATE"),
        (_completed, "ACCEPTED", {}, "ILLEGAL_STATE"),
        (_completed, "REFUSED", {}, "ILLEGAL_STATE"),
    ],
)
def test_an_answer_that_says_something_else_than_what_was_answered_is_refused(
    stage: Any, response: str, said: dict[str, Any], code: str
) -> None:
    market = stage()
    market.act()
    before = market.order("acme").state
    assert market.answer("acme", response, response_id="again", **said).code == code
    assert market.order("acme").state is before


@pytest.mark.parametrize(
    ("stage", "state", "power_w"),
    [
        (closed, OrderState.ISSUED, 12 * MW),
        (_part, OrderState.ACCEPTED, 5 * MW),
        (running, OrderState.ACTIVE, 12 * MW),
        (_sustaining, OrderState.SUSTAINING, 12 * MW),
    ],
)
def test_a_snapshot_shows_an_order_as_it_stands(stage: Any, state: OrderState, power_w: int) -> None:
    market = stage()
    market.act()
    found = [record for record, _ in market.ledger.current(OWNER) if isinstance(record, DispatchOrder)]
    (order,) = [order for order in found if order.participant == "acme"]
    assert (order.state, order.power_w) == (state, power_w)


def test_a_snapshot_shows_a_derated_order_with_what_is_left_of_it() -> None:
    market = running()
    market.answer("acme", "UNAVAILABLE", available_w=3 * MW)
    market.act()
    found = [record for record, _ in market.ledger.current(OWNER) if isinstance(record, DispatchOrder)]
    (order,) = [order for order in found if order.participant == "acme"]
    assert (order.state, order.power_w, order.revision) == (OrderState.ACTIVE, 3 * MW, 2)
