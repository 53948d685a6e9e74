"""How records look: JSON lines for programs, aligned columns in a pipe, coloured tables in a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gridsignal import (
    MW,
    BaselineFixed,
    CarbonIntensity,
    DispatchOrder,
    DispatchRequest,
    Gap,
    GridAlert,
    Message,
    OfferDecision,
    OrderOver,
    RegulationSetpoint,
    RequestCancellation,
    Settlement,
    SpotPrice,
)
from gridsignal_schemas.messages import DisputeRejected, SettlementDispute
from gridsignal_schemas.values import UNPRINTABLE

_MARKET_TIME = {"GB": "Europe/London", "IE-SEM": "Europe/Dublin", "PT": "Europe/Lisbon", "FI": "Europe/Helsinki"}
_BAR = 24  # columns of the longest bar


def market_time(zone: str) -> tzinfo:
    """The time people of the zone's market read: Central Europe's, unless the zone keeps another."""
    try:
        return ZoneInfo(_MARKET_TIME.get(zone, "Europe/Brussels"))
    except ZoneInfoNotFoundError:  # a machine without a time zone database
        return UTC


def show(message: Message, *, as_json: bool) -> None:
    """Prints one message."""
    if as_json:
        print(json.dumps(_plain(message), separators=(",", ":")), flush=True)
    elif isinstance(message, SpotPrice | CarbonIntensity):
        _show_series(message)
    else:
        print(printable(_line(message)), flush=True)


def in_mwh(energy_wh: int) -> str:
    """Energy in MWh, to the watt-hour: times its price it is the amount that stands beside it."""
    whole, rest = divmod(abs(energy_wh), MW)
    return f"{'-' if energy_wh < 0 else ''}{whole}.{f'{rest:06}'.rstrip('0'):0<3}"


def show_rows(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A small table: by rich in a terminal, aligned columns elsewhere. Cells may come from anywhere."""
    title, rows = printable(title), [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        table = Table(*headings, title=Text(title), title_justify="left", box=None, header_style="bold")
        for row in rows:
            table.add_row(*map(Text, row))  # as they are: [brackets] are no markup
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    print(title)
    for row in [headings, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    sys.stdout.flush()


def printable(text: str) -> str:
    """A text for a terminal: what could move its cursor or turn its direction is spelled out, such as \\x1b."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def when(moment: datetime | None, zone: str, *, seconds: bool = False) -> str:
    """A moment in market time with its offset, to the second where that counts; a dash where there is none."""
    if moment is None:
        return "-"
    clock = "%H:%M:%S" if seconds or moment.second else "%H:%M"
    return moment.astimezone(market_time(zone)).strftime(f"%Y-%m-%d {clock}%z")


def period(starts_at: datetime | None, ends_at: datetime | None, zone: str) -> tuple[str, str]:
    """A period's two ends, both to the second where one of them needs it."""
    seconds = any(moment is not None and moment.second for moment in (starts_at, ends_at))
    return when(starts_at, zone, seconds=seconds), when(ends_at, zone, seconds=seconds)


def _plain(message: Message) -> dict[str, Any]:
    if isinstance(message, Gap):
        return {"type": "Gap", **asdict(message)}
    if isinstance(message, OrderOver):
        return {"type": "OrderOver", **message.order.model_dump(mode="json")}
    return {"type": message.record_name, **message.model_dump(mode="json")}


def _show_series(series: SpotPrice | CarbonIntensity) -> None:
    if isinstance(series, SpotPrice):
        what, unit = f"{series.product} {series.dataset}", f"{series.currency}/MWh"
    else:
        what, unit = f"{series.accounting} {series.scope} {series.mix}", "g/kWh"
    most = max((abs(value) for _, _, value in series.intervals() if value is not None), default=Decimal(0))
    rows = [
        (when(start, series.zone), "-" if value is None else f"{value:8.2f}", bar(value, most))
        for start, _, value in series.intervals()
    ]
    title = f"{series.zone}  {what}  {series.status}  revision {series.revision}  from {series.provider}"
    show_rows(title, ("from", unit, ""), rows)


def bar(value: Decimal | None, most: Decimal) -> str:
    """A value as a bar beside the longest one; of - where it is below zero."""
    if value is None or not most:
        return ""
    length = round(abs(value) / most * _BAR)
    return ("-" if value < 0 else "#") * length


def _asked(order: DispatchOrder) -> str:
    limit_w = order.import_limit_w
    return str(order.direction) if limit_w is None else f"{order.direction}, stay at or below {_power(limit_w)}"


def _line(message: Message) -> str:
    match message:
        case DispatchRequest(zone=zone):
            span = " to ".join(period(message.starts_at, message.ends_at, zone))
            gate = f"gate closes {when(message.gate_closure_at, zone)}"
            return (
                f"request   {message.request_id} rev {message.revision}  {_power(message.power_w)} "
                f"{message.direction}  {zone}  {span}  {gate}  by {message.operator}"
            )
        case RequestCancellation():
            return f"cancelled {message.request_id}  {message.reason_code} {message.reason}".rstrip()
        case OfferDecision():
            power = f"  {_power(message.power_w)}" if message.power_w is not None else ""
            line = f"decision  {message.offer_id} rev {message.revision}  {message.decision}{power}"
            return f"{line}  {' '.join(message.codes)}  {message.reason}".rstrip()
        case DispatchOrder(zone=zone):
            span = " to ".join(period(message.starts_at, message.ends_at, zone))
            return (
                f"order     {message.order_id} rev {message.revision}  {message.state}  {_power(message.power_w)} "
                f"{_asked(message)}  {message.site}  {span}  answer by {when(message.respond_by, zone)}"
            )
        case Settlement() | SettlementDispute() | DisputeRejected() | BaselineFixed():
            return _worth(message)
        case GridAlert(zone=zone):
            drill = "DRILL " if message.is_drill else ""
            span = " to ".join(period(message.starts_at, message.ends_at, zone))
            line = f"alert     {message.alert_id} rev {message.revision}  {drill}{message.kind}"
            line = f"{line} level {message.level} {message.action}"
            return f"{line}  {zone}  {span}  {message.text}"
        case RegulationSetpoint(zone=zone):
            line = f"setpoint  {message.order_id} cycle {message.cycle_no}  {message.level_ppm / 10_000:+g} %"
            at = when(message.target_at, zone, seconds=True)
            return f"{line} about {_power(message.base_w)}  {message.site}  at {at}"
        case Gap():
            return f"gap       {message.stream}: {message.reason}"
        case OrderOver():
            return f"over      {message.order.order_id}: it ended while nobody was listening"
    return message.record_name


def _worth(message: Settlement | SettlementDispute | DisputeRejected | BaselineFixed) -> str:
    match message:
        case Settlement():
            line = f"settled   {message.order_id} version {message.version}  {message.status}"
            return f"{line}  {message.total} {message.currency}  {message.site}  {message.reason}".rstrip()
        case SettlementDispute():
            line = f"disputed  {message.order_id} version {message.version}  {message.reason_code}"
            return f"{line}  {message.text}".rstrip()
        case DisputeRejected():
            line = f"rejected  {message.order_id} version {message.version}  {message.reason_code}"
            return f"{line}  {message.reason}".rstrip()
        case BaselineFixed():
            line = f"baseline  {message.request_id}  {message.site}  {message.method.name} {message.method.version}"
            return f"{line}  {message.reason}".rstrip()


def _power(watts: int) -> str:
    return f"{watts / MW:g} MW"
