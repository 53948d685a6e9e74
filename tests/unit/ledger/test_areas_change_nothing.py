"""Where no limit is near, an area changes nothing of who is ordered how much and when."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import DispatchOrder
from gridsignal_schemas.values import MW
from tests.builders import an_area_registration, utc
from tests.unit.ledger.days import SITES, an_offered_option, terms
from tests.unit.ledger.market import Market

WIDE = 10_000 * MW
_TOLD_IN_AREAS = {"restore_not_before": None, "max_ramp_w_per_min": None}


@given(terms, st.lists(st.none() | an_offered_option(), min_size=3, max_size=3))
def test_wide_limits_are_as_none(asked: dict[str, Any], offered: list[Any]) -> None:
    orders = [ordered(asked, offered, limits) for limits in (None, {"max_change_w": WIDE, "max_import_w": WIDE})]

    assert orders[0] == [each.model_copy(update=_TOLD_IN_AREAS) for each in orders[1]]
    assert all(each.restore_not_before is None for each in orders[0])
    assert all(each.restore_not_before == each.ends_at for each in orders[1])


def ordered(asked: dict[str, Any], offered: list[Any], limits: dict[str, Any] | None) -> list[DispatchOrder]:
    market = Market()
    for who in SITES:
        market.site(who)
    wide = {"max_ramp_down_w_per_min": WIDE, "max_ramp_up_w_per_min": WIDE, "sites": [f"{who}-1" for who in SITES]}
    if limits is not None:
        assert market.add(an_area_registration(**wide | limits)).accepted
    else:
        market.ask(request_id="another")  # as many records as with it: offsets tell places in time
    assert market.ask(**asked).accepted
    for who, options in zip(SITES, offered, strict=True):
        if options is not None:
            market.offer(who, options=options)
    market.run_until(utc("17:00"))
    if asked["clearing_mode"] == "BY_HAND":
        market.add(market.by_hand(), "operator:tso-north")
    return [tracked.order for tracked in market.ledger.orders.values()]
