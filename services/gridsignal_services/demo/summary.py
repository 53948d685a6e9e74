"""The day afterwards, to look at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gridsignal_schemas.messages import DispatchRequest, FlexOffer, SpotPrice
from gridsignal_schemas.values import MW, text_of_decimal
from gridsignal_services.demo import figures
from gridsignal_services.demo.numbers import as_json
from gridsignal_services.demo.run import Result
from gridsignal_services.demo.spelling import clock, mw, span
from gridsignal_services.demo.story import MARKET, ZONE

_QUIET_W = 300_000
"""Deviations below it are noise."""
_BAR = 10
_PRICES, _SITE = 24, 20
"""Columns of a terminal that the prices and each site need."""


def summary(result: Result, width: int) -> RenderableType:
    """The whole day to look at, for a terminal of so many columns."""
    numbers = as_json(result)
    return Group(
        Text(),
        Panel(_headline(result, numbers), box=box.HEAVY, title=f"{ZONE}, {result.story.day}", title_align="left"),
        *_hours(result.day, width),
        *(_ladder(result.day, request) for request in result.day.requests.values()),
        _sums(numbers),
        _small_print(numbers),
    )


def _headline(result: Result, numbers: dict[str, Any]) -> Text:
    cost, co2 = numbers["energy_cost"], numbers["co2_kg"]
    saved = Decimal(cost["without"]) - Decimal(cost["with"])
    kilos = co2["without"] - co2["with"]
    low, high = span(result.day.prices[ZONE])
    return Text.assemble(
        f"Day-ahead prices from {low} to {high} {cost['currency']}/MWh (real). ",
        ("Moving the work ", "bold"),
        (f"saved {saved:,.0f} {cost['currency']}" if saved > 0 else f"cost {-saved:,.0f} {cost['currency']}", "bold"),
        (" of energy and ", "bold"),
        (f"saved {kilos:,.0f} kg of CO2." if kilos > 0 else f"raised CO2 by {-kilos:,.0f} kg.", "bold"),
        "\nPrices and carbon are real; requests, sites and mishaps are synthetic.",
    )


def _hours(day: figures.Day, width: int) -> Iterator[Table]:
    """As many sites side by side as the terminal has room for."""
    sites = sorted(day.sites.values(), key=lambda site: (site.zone, site.site))
    side_by_side = max(1, (width - _PRICES) // _SITE)
    for first in range(0, len(sites), side_by_side):
        yield _hours_of(day, sites[first : first + side_by_side])


def _hours_of(day: figures.Day, sites: list[figures.SiteDay]) -> Table:
    title = "Hour by hour, market time: baseline > metered in MW, ordered (yellow), rebound or counterpart (blue)"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("price", justify="right", no_wrap=True)
    table.add_column("", min_width=_BAR, no_wrap=True)
    for site in sites:
        table.add_column(f"{site.site} {site.zone}", justify="right", no_wrap=True)
        table.add_column("", justify="right", no_wrap=True)
    curve = day.prices[ZONE]
    for start, _, price in curve.intervals():
        cells = [cell for site in sites for cell in _site_cells(site, start)]
        table.add_row(f"{start.astimezone(MARKET):%H}", _price(price), _price_bar(price, curve), *cells)
    return table


def _site_cells(site: figures.SiteDay, start: datetime) -> list[Text]:
    quarters = [start + timedelta(minutes=15 * n) for n in range(4)]
    base, metered = (_mean(curve, quarters) for curve in (site.baseline_w, site.metered_w))
    ordered = _mean(site.ordered_w, quarters)
    quiet = [quarter for quarter in quarters if not site.ordered_w.get(quarter)]
    rebound = sum(site.metered_w[quarter] - site.baseline_w[quarter] for quarter in quiet) / 4
    note = Text()
    if ordered:
        note.append(f"{ordered / MW:+.1f}", "yellow")
    elif abs(rebound) > _QUIET_W:
        note.append(f"{rebound / MW:+.1f}", "blue")
    return [Text.assemble((mw(base), "dim"), ("\u2009>\u2009", "dim"), (mw(metered), "bold" if ordered else "")), note]


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
        f"{request.operator} ({request.purpose.lower()}): {mw(request.power_w)} MW {way},"
        f" {clock(request.starts_at)}-{clock(request.ends_at)}"
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
            f"{mw(option.power_w)} MW",
            f"{mw(order.issued.power_w)} MW" if order else "",
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
        return Text(f"{first}accepted {mw(order.accepted_w)} MW only", "yellow")
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
