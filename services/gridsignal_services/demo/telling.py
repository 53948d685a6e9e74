"""The day as numbers for programs, and as pictures for people. Values in, text and tables out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median, quantiles
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
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
from gridsignal_schemas.values import MW, text_of_decimal
from gridsignal_services.demo import figures
from gridsignal_services.demo.run import Result
from gridsignal_services.demo.story import MARKET, ZONE

_QUIET_W = 300_000
"""Deviations below it are noise."""
_BAR = 14


# --- for programs -----------------------------------------------------------------------------------------------


def as_json(result: Result) -> dict[str, Any]:
    """The one object of `gridsignal demo --json`: energy in Wh, money as text, CO2 in kg, latencies in wall ms."""
    day, curve = result.day, result.day.prices[ZONE]
    known = [price for price in curve.prices_per_mwh if price is not None]
    orders = list(day.orders.values())
    paid, penalty = (sum((getattr(o, name) for o in orders), Decimal(0)) for name in ("paid", "penalty"))
    energy, cost, co2 = figures.energy_wh(day), figures.energy_cost(day), figures.co2_kg(day)
    return {
        "day": result.story.day,
        "zone": ZONE,
        "seed": result.seed,
        "prices": len(known),
        "price_min": text_of_decimal(min(known)),
        "price_max": text_of_decimal(max(known)),
        "requests": len(day.requests),
        "offers": len(day.offers),
        "awards": len(orders),
        "refusals": sum(bool(o.refused) for o in orders),
        "voided": sum(o.voided for o in orders),
        "reawards": figures.reawards(day),
        "asked_wh": figures.asked_wh(day),
        "offered_wh": figures.offered_wh(day),
        "awarded_wh": sum(o.awarded_wh for o in orders),
        "delivered_wh": sum(o.delivered_wh for o in orders),
        "cost": {"amount": _money(paid), "currency": curve.currency},
        "penalties": {"amount": _money(penalty), "currency": curve.currency},
        "energy_wh": {"with": int(energy.with_), "without": int(energy.without)},
        "energy_cost": {"with": _money(cost.with_), "without": _money(cost.without), "currency": curve.currency},
        "co2_kg": {"with": round(float(co2.with_), 1), "without": round(float(co2.without), 1)},
        "co2_unknown_wh": figures.moved_away_wh(day),
        "latency_ms": {
            "price_to_client": _latency(result.price_to_client_ms, "max"),
            "offer_to_receipt": _latency(result.offer_to_receipt_ms, "p99"),
        },
    }


def _money(amount: Decimal) -> str:
    return str(amount.quantize(Decimal("0.01")))


def _latency(measured_ms: Sequence[float], tail: str) -> dict[str, Any]:
    """n, p50 and the tail; below a hundred measurements the maximum stands for a percentile, and says so."""
    if not measured_ms:
        return {"n": 0, "p50": None, tail: None}
    told = {"n": len(measured_ms), "p50": round(median(measured_ms), 2)}
    if tail == "p99" and len(measured_ms) >= 100:
        return told | {"p99": round(quantiles(measured_ms, n=100)[98], 2)}
    worst = round(max(measured_ms), 2)
    return told | ({"max": worst} if tail == "max" else {"p99": None, "max": worst})


# --- while it happens -------------------------------------------------------------------------------------------


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
            low, high = _span(record)
            return "cyan", record.zone, f"day-ahead curve published: {low} to {high} {record.currency}/MWh"
        case BaselineDeclaration():
            mean = sum(record.power_w) / len(record.power_w)
            return "white", record.site, f"declares its baseline, {_mw(mean)} MW on average"
        case DispatchRequest():
            way = "more" if record.direction == "LOAD_INCREASE" else "less"
            period = f"{_clock(record.starts_at)}-{_clock(record.ends_at)}"
            return "bold magenta", record.operator, f"asks for {_mw(record.power_w)} MW {way}, {period}: {record.text}"
        case FlexOffer():
            option = record.options[0]
            price = text_of_decimal(option.price_per_mwh)
            return "white", record.site, f"offers {_mw(option.power_w)} MW at {price} ({option.option})"
        case Clearing():
            again = " again" if record.trigger == "SHORTFALL" else ""
            return "bold", "ledger", f"clears{again}: {len(record.awards)} awarded, {len(record.standby)} on standby"
        case DispatchOrder() | OrderResponse():
            return _told_of_order(record)
    return None


def _told_of_order(record: DispatchOrder | OrderResponse) -> tuple[str, str, str] | None:
    if isinstance(record, DispatchOrder):
        if record.state is OrderState.ISSUED:
            return "yellow", record.site, f"is ordered {_mw(record.power_w)} MW"
        return "red", record.site, f"order {record.state.lower()}: {record.reason}"
    match record.response:
        case ResponseKind.ACCEPTED if record.accepted_w is not None:
            return "yellow", record.site, f"accepts {_mw(record.accepted_w)} MW only"
        case ResponseKind.ACCEPTED:
            return "green", record.site, "accepts"
        case ResponseKind.REFUSED:
            return "red", record.site, f"refuses: {record.reason}"
    return None


# --- afterwards -------------------------------------------------------------------------------------------------


def summary(result: Result) -> RenderableType:
    """The whole day to look at."""
    numbers = as_json(result)
    return Group(
        Text(),
        Panel(_headline(result, numbers), box=box.HEAVY, title=f"{ZONE}, {result.story.day}", title_align="left"),
        _hours(result.day),
        *(_ladder(result.day, request) for request in result.day.requests.values()),
        _sums(numbers),
        _small_print(numbers),
    )


def _headline(result: Result, numbers: dict[str, Any]) -> Text:
    cost, co2 = numbers["energy_cost"], numbers["co2_kg"]
    saved = Decimal(cost["without"]) - Decimal(cost["with"])
    kilos = co2["without"] - co2["with"]
    low, high = _span(result.day.prices[ZONE])
    return Text.assemble(
        f"Day-ahead prices from {low} to {high} {cost['currency']}/MWh (real). ",
        ("Moving the work ", "bold"),
        (f"saved {saved:,.0f} {cost['currency']}" if saved > 0 else f"cost {-saved:,.0f} {cost['currency']}", "bold"),
        (" of energy and ", "bold"),
        (f"saved {kilos:,.0f} kg of CO2." if kilos > 0 else f"raised CO2 by {-kilos:,.0f} kg.", "bold"),
        "\nPrices and carbon are real; requests, sites and mishaps are synthetic.",
    )


def _hours(day: figures.Day) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Hour by hour, MW (market time)", title_justify="left", pad_edge=False)
    table.add_column("hour")
    table.add_column("price", justify="right")
    table.add_column("", min_width=_BAR)
    for name in day.sites:
        table.add_column(f"{name}\nbase", justify="right")
        table.add_column("ordered", justify="right")
        table.add_column("metered", justify="right")
        table.add_column("rebound", justify="right")
    curve = day.prices[ZONE]
    for start, _, price in curve.intervals():
        cells = [cell for site in day.sites.values() for cell in _site_cells(site, start)]
        table.add_row(f"{start.astimezone(MARKET):%H}", _price(price), _price_bar(price, curve), *cells)
    return table


def _site_cells(site: figures.SiteDay, start: datetime) -> list[Text]:
    quarters = [start + timedelta(minutes=15 * n) for n in range(4)]
    base, metered = (_mean(curve, quarters) for curve in (site.baseline_w, site.metered_w))
    ordered = _mean(site.ordered_w, quarters)
    quiet = [q for q in quarters if not site.ordered_w.get(q)]
    rebound = sum(site.metered_w[q] - site.baseline_w[q] for q in quiet) / 4
    return [
        Text(_mw(base), "dim"),
        Text(f"{ordered / MW:+.1f}" if ordered else "", "yellow"),
        Text(_mw(metered), "bold" if ordered else ""),
        Text(f"{rebound / MW:+.1f}" if abs(rebound) > _QUIET_W else "", "blue"),
    ]


def _mean(curve: dict[datetime, int], quarters: list[datetime]) -> float:
    return sum(curve.get(quarter, 0) for quarter in quarters) / len(quarters)


def _price(price: Decimal | None) -> Text:
    return Text("?" if price is None else f"{price:.2f}", "green" if price is not None and price < 0 else "")


def _price_bar(price: Decimal | None, curve: SpotPrice) -> Text:
    known = [abs(p) for p in curve.prices_per_mwh if p is not None]
    width = round(float(abs(price or Decimal(0)) / max(known)) * _BAR)
    return Text("█" * width, "green" if price is not None and price < 0 else "red")


def _ladder(day: figures.Day, request: DispatchRequest) -> Table:
    way = "up" if request.direction == "LOAD_INCREASE" else "down"
    title = (
        f"{request.operator} ({request.purpose.lower()}): {_mw(request.power_w)} MW {way},"
        f" {_clock(request.starts_at)}-{_clock(request.ends_at)}"
    )
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for name, justify in (("site", "left"), ("offer", "left"), ("EUR/MWh", "right"), ("offered", "right")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    table.add_column("ordered", justify="right")
    table.add_column("delivered", justify="right")
    table.add_column("what became of it")
    offers = [offer for offer in day.offers.values() if offer.request_id == request.request_id]
    for offer in sorted(offers, key=lambda offer: offer.options[0].price_per_mwh):
        option = offer.options[0]
        order = next((o for o in day.orders.values() if o.issued.offer_id == offer.offer_id), None)
        table.add_row(
            offer.site,
            option.option,
            text_of_decimal(option.price_per_mwh),
            f"{_mw(option.power_w)} MW",
            f"{_mw(order.issued.power_w)} MW" if order else "",
            f"{order.delivered_wh / order.awarded_wh:.0%}" if order and order.awarded_wh else "",
            _fate(day, offer, order),
        )
    return table


def _fate(day: figures.Day, offer: FlexOffer, order: figures.Order | None) -> Text:
    if order is None:
        codes = [r.code for c in day.clearings for r in c.rejected if r.offer_id == offer.offer_id]
        return Text(f"lost: {codes[-1].lower().replace('_', ' ')}" if codes else "no clearing", "dim")
    again = any(
        award.offer_id == offer.offer_id for c in day.clearings if c.trigger == "SHORTFALL" for award in c.awards
    )
    first = "called from standby, " if again else ""
    if order.refused:
        return Text(f"{first}refused ({order.refused.lower().replace('_', ' ')})", "red")
    if order.voided:
        return Text(f"{first}no answer: void before the next was ordered", "red")
    if order.accepted_w is not None and order.accepted_w < order.issued.power_w:
        return Text(f"{first}accepted {_mw(order.accepted_w)} MW only", "yellow")
    return Text(f"{first}accepted", "green")


def _sums(numbers: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="The day in sums", title_justify="left", show_header=False, pad_edge=False)
    most = max(numbers[f"{name}_wh"] for name in ("asked", "offered", "awarded", "delivered"))
    for name in ("asked", "offered", "awarded", "delivered"):
        wh = numbers[f"{name}_wh"]
        table.add_row(name, f"{wh / MW:,.1f} MWh", Text("█" * round(30 * wh / most), "cyan"))
    currency = numbers["cost"]["currency"]
    table.add_row("paid to sites", f"{Decimal(numbers['cost']['amount']):,.2f} {currency}", "")
    table.add_row("their penalties", f"{Decimal(numbers['penalties']['amount']):,.2f} {currency}", "")
    pairs: tuple[tuple[str, str, str, int], ...] = (
        ("energy", "energy_wh", "MWh", MW),
        ("energy cost", "energy_cost", currency, 1),
        ("CO2", "co2_kg", "t", 1000),
    )
    for label, name, unit, scale in pairs:
        pair = numbers[name]
        with_, without = Decimal(str(pair["with"])) / scale, Decimal(str(pair["without"])) / scale
        table.add_row(label, f"{with_:,.1f} {unit}", f"without {without:,.1f} {unit}: {with_ - without:+,.1f}")
    for label, name in (("price to client", "price_to_client"), ("offer to receipt", "offer_to_receipt")):
        table.add_row(label, *_latency_cells(numbers["latency_ms"][name]))
    return table


def _latency_cells(told: dict[str, Any]) -> Iterator[str]:
    yield f"p50 {told['p50']} ms"
    tail = f"p99 {told['p99']} ms" if told.get("p99") is not None else f"max {told.get('max')} ms"
    yield f"{tail}, n = {told['n']}"


def _small_print(numbers: dict[str, Any]) -> Text:
    return Text(
        "Baselines: each site's freely movable work already lies in its cheapest hours; what orders moved is work whose"
        " owners agreed to move it for the grid only. Energy differs by restarts, detours and battery losses.\n"
        "CO2: average life-cycle accounting of the zone's mix, not avoided emissions;"
        f" {numbers['co2_unknown_wh'] / MW:,.1f} MWh moved between zones are left out, because there are no figures"
        " for the other zone.\n"
        "Sources: day-ahead prices SDAC as published; carbon Electricity Maps, hourly life-cycle (ODbL).",
        "dim",
    )


# --- spelling ---------------------------------------------------------------------------------------------------


def _mw(power_w: float) -> str:
    return f"{power_w / MW:.1f}"


def _clock(when: datetime) -> str:
    return f"{when.astimezone(MARKET):%H:%M}"


def _span(curve: SpotPrice) -> tuple[str, str]:
    known = [price for price in curve.prices_per_mwh if price is not None]
    return text_of_decimal(min(known)), text_of_decimal(max(known))
