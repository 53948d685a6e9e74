"""The day afterwards, to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gridsignal_schemas.messages import SpotPrice
from gridsignal_schemas.values import MW
from gridsignal_services.demo import figures
from gridsignal_services.demo.ladder import ladder
from gridsignal_services.demo.numbers import as_json
from gridsignal_services.demo.proof import Proof
from gridsignal_services.demo.run import Result
from gridsignal_services.demo.spelling import mw, span
from gridsignal_services.demo.story import MARKET, ZONE

_QUIET_W = 300_000
"""Deviations below it are noise."""
_BAR = 10
_PRICES, _SITE = 24, 21
"""Columns of a terminal that the prices and each site need."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What bars are drawn with."""

    above: str
    below: str


_UNICODE, _ASCII = Glyphs("\u2588", "\u2591"), Glyphs("#", "-")


def summary(result: Result, width: int, *, unicode: bool = True) -> RenderableType:
    """The whole day to look at, for a terminal of so many columns."""
    glyphs = _UNICODE if unicode else _ASCII
    numbers = as_json(result)
    return Group(
        Text(),
        Panel(headline(result, numbers), box=box.HEAVY, title=f"{ZONE}, {result.story.day}", title_align="left"),
        *_hours(result.day, width, glyphs),
        *(part for request in result.day.requests.values() for part in ladder(result.day, request)),
        _sums(result, numbers, glyphs),
        small_print(numbers),
    )


def headline(result: Result, numbers: dict[str, Any]) -> Text:
    """The day in two sentences."""
    cost, co2 = numbers["net_cost"], numbers["co2_kg"]
    better = Decimal(cost["without"]) - Decimal(cost["with"])
    off = "better" if better > 0 else "worse"
    tonnes = (co2["with"] - co2["without"]) / 1000
    low, high = span(result.day.prices[ZONE])
    currency = numbers["currency"]
    return Text.assemble(
        f"Day-ahead prices from {low} to {high} {currency}/MWh. ",
        (f"Shifting load left the sites {abs(better):,.0f} {currency} {off} off", "bold"),
        (f" and {'cut' if tonnes < 0 else 'raised'} emissions by {abs(tonnes):.1f} t.", "bold"),
        "\nPrices and carbon are real; requests, sites and mishaps are made up.",
    )


def _hours(day: figures.Day, width: int, glyphs: Glyphs) -> Iterator[RenderableType]:
    """As many sites side by side as the terminal has room for."""
    sites = sorted(day.sites.values(), key=lambda site: (site.zone, site.site))
    side_by_side = max(1, (width - _PRICES) // _SITE)
    yield Text("Hour by hour, market time: baseline > metered, in MW.")
    yield Text("  o: ordered; m: made up for later, or moved to the other zone by an order")
    yield Text(f"  price bars in EUR/MWh: {glyphs.above} above zero, {glyphs.below} below")
    for first in range(0, len(sites), side_by_side):
        yield _hours_of(day, sites[first : first + side_by_side], glyphs)


def _hours_of(day: figures.Day, sites: list[figures.SiteDay], glyphs: Glyphs) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("price", justify="right", no_wrap=True)
    table.add_column("", min_width=_BAR, no_wrap=True)
    for site in sites:
        table.add_column(f"{site.site} {site.zone}", justify="right", no_wrap=True)
        table.add_column("", justify="right", no_wrap=True)
    curve = day.prices[ZONE]
    for start, _, price in curve.intervals():
        cells = [cell for site in sites for cell in _site_cells(site, start)]
        hour = f"{start.astimezone(MARKET):%H}"
        table.add_row(hour, _price(price), _price_bar(price, curve, glyphs), *cells)
    return table


def _site_cells(site: figures.SiteDay, start: datetime) -> list[Text]:
    quarters = [start + timedelta(minutes=15 * n) for n in range(4)]
    base, metered = (_mean(curve, quarters) for curve in (site.baseline_w, site.metered_w))
    ordered = _mean(site.ordered_w, quarters)
    quiet = [quarter for quarter in quarters if not site.ordered_w.get(quarter)]
    rebound = sum(site.metered_w[quarter] - site.baseline_w[quarter] for quarter in quiet) / 4
    note = Text()
    if ordered:
        note.append(f"o{ordered / MW:+.1f}", "yellow")
    elif abs(rebound) > _QUIET_W:
        note.append(f"m{rebound / MW:+.1f}", "blue")
    return [Text.assemble((mw(base), "dim"), (" > ", "dim"), (mw(metered), "bold" if ordered else "")), note]


def _mean(curve: dict[datetime, int], quarters: list[datetime]) -> float:
    return sum(curve.get(quarter, 0) for quarter in quarters) / len(quarters)


def _price(price: Decimal | None) -> Text:
    return Text("?" if price is None else f"{price:.2f}", "green" if price is not None and price < 0 else "")


def _price_bar(price: Decimal | None, curve: SpotPrice, glyphs: Glyphs) -> Text:
    known = [abs(p) for p in curve.prices_per_mwh if p is not None]
    width = round(float(abs(price or Decimal(0)) / max(known)) * _BAR)
    below = price is not None and price < 0
    return Text((glyphs.below if below else glyphs.above) * width, "green" if below else "red")


def _sums(result: Result, numbers: dict[str, Any], glyphs: Glyphs) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="The day in sums", title_justify="left", show_header=False, pad_edge=False)
    most = max(numbers[f"{name}_wh"] for name in ("asked", "offered", "awarded", "delivered"))
    for name, label in (
        ("asked", "asked"),
        ("offered", "offered"),
        ("awarded", "accepted"),
        ("delivered", "delivered"),
    ):
        wh = numbers[f"{name}_wh"]
        table.add_row(label, f"{wh / MW:,.1f} MWh", Text(glyphs.above * round(30 * wh / most), "cyan"))
    currency = numbers["currency"]
    bill, net = numbers["energy_bill"], numbers["net_cost"]
    energy, co2 = numbers["energy_wh"], numbers["co2_kg"]
    table.add_row("energy", *pair(energy["with"], energy["without"], "MWh", MW))
    table.add_row("energy bill", *pair(bill["with"], bill["without"], currency))
    table.add_row("- payments", f"{Decimal(numbers['payments']):,.2f} {currency}", "for what was delivered")
    table.add_row("+ penalties", f"{Decimal(numbers['penalties']):,.2f} {currency}", "for what was not delivered")
    table.add_row("= net cost", *pair(net["with"], net["without"], currency))
    settled = numbers["settled"]
    table.add_row("settled", f"{Decimal(settled['total']):,.2f} {currency}", f"{settled['orders']} orders, on the log")
    if (proof := result.proof) is not None:
        table.add_row("proof", "holds" if proof.holds else "does not hold", proved(proof))
    table.add_row("CO2", *pair(co2["with"], co2["without"], "t", 1000))
    for label, name in (("price to client", "price_to_client"), ("offer to receipt", "offer_to_receipt")):
        table.add_row(label, *_latency_cells(numbers["latency_ms"][name]))
    return table


def proved(proof: Proof) -> str:
    """What an audit of the log came to."""
    if proof.holds:
        return f"audit verify: {proof.clearings} clearings and {proof.settlements} settlements come to the same again"
    return f"audit verify: {proof.faults[0]}"


def pair(with_: Any, without: Any, unit: str, scale: int = 1) -> Iterator[str]:
    """A figure with the orders, and what it would have been without."""
    ours, else_ = Decimal(str(with_)) / scale, Decimal(str(without)) / scale
    places = 1 if scale > 1 else 2
    yield f"{ours:,.{places}f} {unit}"
    yield f"without orders {else_:,.{places}f} {unit}: {ours - else_:+,.{places}f}"


def _latency_cells(figures: dict[str, Any]) -> Iterator[str]:
    yield f"p50 {figures['p50']} ms"
    tail = f"p99 {figures['p99']} ms" if figures.get("p99") is not None else f"max {figures.get('max')} ms"
    yield f"{tail}, n = {figures['n']}"


def small_print(numbers: dict[str, Any]) -> Text:
    """How figures are meant, and whose they are."""
    return Text(
        "Baselines: each site's freely movable work already lies in its cheapest hours; orders move only work whose"
        " owners agreed to it. Energy differs by restarts, detours and battery losses.\n"
        "Energy bill: what the meters show at day-ahead prices, without what orders delivered; whoever asked settles"
        " that energy and pays the order's price. Penalties: the request's price for each MWh that was accepted and"
        " not delivered. Every sum follows from `gridsignal demo --json`.\n"
        "CO2: average life-cycle accounting of the zone's mix, not avoided emissions;"
        f" {numbers['co2_unknown_wh'] / MW:,.1f} MWh moved between zones are left out, because there are no figures"
        " for the other zone.\n"
        "Sources: day-ahead prices SDAC as published; carbon Electricity Maps, hourly life-cycle (ODbL).",
        "dim",
    )
