"""An order that has nothing to deliver says so, and does not wait for a meter for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gridsignal_schemas.messages import OrderState
from gridsignal_schemas.values import MW
from gridsignal_services.dispatch.views import order_view
from tests.builders import utc
from tests.unit.ledger.market import Market
from tests.unit.ledger.stages import accepted, closed

LONG = 12_000_000 * 45 // 60


def cancelled() -> Market:
    market = accepted()
    assert market.change("acme", state=OrderState.CANCELLED).accepted
    return market


def cancelled_with_its_request() -> Market:
    market = accepted()
    assert market.cancel().accepted
    return market


def answered(response: str, **said: int) -> Market:
    market = closed()
    assert market.answer("acme", "ACCEPTED" if response == "UNAVAILABLE" else response).accepted
    if response == "UNAVAILABLE":
        assert market.answer("acme", response, **said).accepted
    return market


def silent() -> Market:
    market = closed()
    market.run_until(utc("17:30"))
    return market


def released(until: str) -> Market:
    market = accepted()
    assert market.change("acme", ends_at=utc(until)).accepted
    return market


@pytest.mark.parametrize(
    ("stage", "ordered_wh"),
    [
        pytest.param(accepted, LONG, id="accepted"),
        pytest.param(lambda: answered("UNAVAILABLE", available_w=4 * MW), LONG // 3, id="derated"),
        pytest.param(lambda: released("18:15"), LONG // 3, id="ends earlier"),
        pytest.param(lambda: released("18:00"), 0, id="released before it began"),
        pytest.param(cancelled, 0, id="cancelled"),
        pytest.param(cancelled_with_its_request, 0, id="cancelled with its request"),
        pytest.param(lambda: answered("REFUSED"), 0, id="refused"),
        pytest.param(silent, 0, id="void"),
        pytest.param(lambda: answered("UNAVAILABLE", available_w=0), 0, id="broken off before it began"),
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_what_an_order_is_to_deliver(stage: Callable[[], Market], ordered_wh: int, later: bool) -> None:
    market = stage()
    if later:
        market.run_until(utc("20:00"))
    view = order_view(market.ledger.book, market.order("acme"))
    assert (view.ordered_wh, view.delivered_wh) == (ordered_wh, None)
