"""Everything about one request, for a person: its terms, its times, and what has become of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from gridsignal.cli.tables import when
from gridsignal_schemas.rules.lifecycle import RequestShown
from gridsignal_services.cli.api import period_of
from gridsignal_services.ledger.clearing import COMBINATION

_OVER = ": whether it was met is between its operator and those who offered"


def lines_of(view: dict[str, Any], orders: list[dict[str, Any]]) -> Iterator[str]:
    """A request as the door shows it, with the orders on it that its reader may see."""
    request = view["request"]
    yield f"request {request['request_id']}, revision {request['revision']}"
    for name, text in _terms(request, view):
        if text:
            yield f"  {name:<12}{text}"
    for order in orders:
        yield from _order(order)


def _terms(request: dict[str, Any], view: dict[str, Any]) -> Iterator[tuple[str, str]]:
    zone = request["zone"]
    way = "down" if request["direction"] == "LOAD_DECREASE" else "up"
    yield "state", view["state"] + (_OVER if view["state"] == RequestShown.OVER else "")
    yield "asked", f"{_mw(request['power_w'])} {way} in {zone}, for {request['purpose']}, by {request['operator']}"
    yield "text", request["text"]
    yield "from", " to ".join(period_of(request))
    yield "gate", f"offers until {when(datetime.fromisoformat(request['gate_closure_at']), zone)}"
    by_hand = " by hand" if request["clearing_mode"] == "BY_HAND" else ""
    yield "decision", f"{by_hand} by {when(datetime.fromisoformat(request['decision_deadline']), zone)}".strip()
    yield (
        "orders",
        f"answered within {request['respond_within_s']} s, at full power {request['full_activation_s']} s later",
    )
    yield "product", request["product"] or ""
    yield "cap", _money(request, "price_cap_per_mwh")
    yield "pricing", str(request["pricing"])
    yield "deficiency", _money(request, "deficiency_price_per_mwh")
    yield "smallest", _mw(request["min_quantity_w"]) if request["min_quantity_w"] else ""
    listed = f" to {', '.join(request['audience'])}" if request["visibility"] == "LISTED" else ""
    yield "visible", f"{request['visibility']}{listed}"
    yield "run", "DRY_RUN: nobody moves power" if request["run_mode"] == "DRY_RUN" else ""
    yield "offers", str(view["offers"]) if view["offers"] else ""


def how_decided(clearings: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each clearing for which a solver was asked, and had an answer."""
    for number, clearing in enumerate(clearings, 1):
        if clearing.get("gap") is not None:
            how = "by a solver" if clearing["algorithm"] == COMBINATION else "in merit order"
            gap = Decimal(clearing["gap"])
            best = f"; others may be up to {gap:.2%} cheaper together" if gap else ", and nothing is cheaper"
            yield f"clearing {number}: chosen {how}{best}"


def _order(view: dict[str, Any]) -> Iterator[str]:
    order = view["order"]
    yield f"order {order['order_id']}: {_mw(order['power_w'])} to {order['site']}, {view['state']}"
    for step in view["history"]:
        why = f"  {step['reason_code']} {step['reason']}".rstrip()
        moment = when(datetime.fromisoformat(step["at"]), order["zone"], seconds=True)
        yield f"  {moment}  {step['state']}  by {step['actor']}{why}"


def _mw(power_w: int) -> str:
    return f"{power_w / 1e6:g} MW"


def _money(request: dict[str, Any], name: str) -> str:
    return f"{request[name]} {request['currency']}/MWh" if request[name] is not None else ""
