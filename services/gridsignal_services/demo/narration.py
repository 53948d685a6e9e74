"""The day as it happens, one line an event."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

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
from gridsignal_services.demo.story import MARKET, Story

_QUIET_S = 5
"""Wall seconds without a line: then the grid's time is told, so that nobody thinks it hangs."""


class Narrator:
    """Tells a day line by line as it happens, and in between what it waits for."""

    def __init__(self, tell: Callable[[Text], None], story: Story, wall: Callable[[], float]) -> None:
        self._tell, self._story, self._wall = tell, story, wall
        self._told_at = wall()

    def __call__(self, record: Record | None, now: datetime) -> None:
        """A record, or None where only time has passed."""
        line = line_of(record, now) if record is not None else self._clock(now)
        if line is not None:
            self._tell(line)
            self._told_at = self._wall()

    def _clock(self, now: datetime) -> Text | None:
        if self._wall() - self._told_at < _QUIET_S:
            return None
        due = [(self._story.midnight + timedelta(minutes=m), what) for m, what in self._story.turns]
        coming = next(((when, what) for when, what in due if when > now), None)
        line = f"... {coming[1]} at {clock(coming[0])}" if coming else "... the last meters are read"
        return Text(f"{now.astimezone(MARKET):%d %b %H:%M}  {line}", "dim")


def line_of(record: Record, now: datetime) -> Text | None:
    """One line about a record as it happens; None for what is not worth one."""
    said = _shown(record)
    if said is None:
        return None
    style, who, what = said
    return Text.assemble((f"{now.astimezone(MARKET):%d %b %H:%M}  ", "dim"), (f"{who:<13}", style), what)


def _shown(record: Record) -> tuple[str, str, str] | None:
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
