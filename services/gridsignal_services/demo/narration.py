"""The day as it happens, one line an event."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from gridsignal_schemas.messages import (
    BaselineDeclaration,
    Clearing,
    DispatchOrder,
    DispatchRequest,
    FlexOffer,
    OrderResponse,
    OrderState,
    Record,
    ResponseKind,
    SpotPrice,
)
from gridsignal_schemas.values import text_of_decimal
from gridsignal_services.demo.spelling import clock, mw, span
from gridsignal_services.demo.story import MARKET


def line_of(record: Record, now: datetime) -> Text | None:
    """One line about a record as it happens; None for what is not worth one."""
    told = _told(record)
    if told is None:
        return None
    style, who, what = told
    return Text.assemble((f"{now.astimezone(MARKET):%d %b %H:%M}  ", "dim"), (f"{who:<13}", style), what)


def _told(record: Record) -> tuple[str, str, str] | None:
    match record:
        case SpotPrice():
            low, high = span(record)
            return "cyan", record.zone, f"day-ahead curve published: {low} to {high} {record.currency}/MWh"
        case BaselineDeclaration():
            mean = sum(record.power_w) / len(record.power_w)
            return "white", record.site, f"declares its baseline, {mw(mean)} MW on average"
        case DispatchRequest():
            way = "more" if record.direction == "LOAD_INCREASE" else "less"
            period = f"{clock(record.starts_at)}-{clock(record.ends_at)}"
            return "bold magenta", record.operator, f"asks for {mw(record.power_w)} MW {way}, {period}: {record.text}"
        case FlexOffer():
            option = record.options[0]
            price = text_of_decimal(option.price_per_mwh)
            return "white", record.site, f"offers {mw(option.power_w)} MW at {price} ({option.option})"
        case Clearing():
            again = " again" if record.trigger == "SHORTFALL" else ""
            return "bold", "ledger", f"clears{again}: {len(record.awards)} awarded, {len(record.standby)} on standby"
        case DispatchOrder() | OrderResponse():
            return _told_of_order(record)
    return None


def _told_of_order(record: DispatchOrder | OrderResponse) -> tuple[str, str, str] | None:
    if isinstance(record, DispatchOrder):
        if record.state is OrderState.ISSUED:
            return "yellow", record.site, f"is ordered {mw(record.power_w)} MW"
        return "red", record.site, f"order {record.state.lower()}: {record.reason}"
    match record.response:
        case ResponseKind.ACCEPTED if record.accepted_w is not None:
            return "yellow", record.site, f"accepts {mw(record.accepted_w)} MW only"
        case ResponseKind.ACCEPTED:
            return "green", record.site, "accepts"
        case ResponseKind.REFUSED:
            return "red", record.site, f"refuses: {record.reason}"
    return None
