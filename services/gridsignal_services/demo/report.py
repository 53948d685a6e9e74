"""The day as one page to look at: it holds all it needs, without a script and without a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element

from gridsignal_schemas.messages import DispatchRequest, FlexOffer
from gridsignal_schemas.values import MW
from gridsignal_services.demo import figures
from gridsignal_services.demo.drawing import STYLE, Block, Pair, Span, Steps, merit, pairs, scrolling, steps
from gridsignal_services.demo.ladder import COLUMNS, FATE, adds_up, cells, fate, in_merit_order
from gridsignal_services.demo.numbers import as_json
from gridsignal_services.demo.run import Result
from gridsignal_services.demo.spelling import clock, mw
from gridsignal_services.demo.story import MARKET, ZONE
from gridsignal_services.demo.summary import headline, pair, proved, small_print
from gridsignal_services.dispatch import page


def report(result: Result) -> str:
    """The page's text."""
    day, numbers = result.day, as_json(result)
    made, body = page.new_page(f"{ZONE}, {result.story.day}: a day of gridsignal", STYLE)
    for sentence in headline(result, numbers).plain.split("\n"):
        page.text(body, "p", sentence, "headline")
    asked = sorted(day.requests.values(), key=lambda request: request.starts_at)
    _money(body, result, numbers)
    _prices(body, day, asked, numbers["currency"])
    for request in asked:
        _request(body, day, request, numbers["currency"])
    page.text(body, "h2", "Each site")
    for site in sorted(day.sites.values(), key=lambda site: (site.zone, site.site)):
        _site(body, day, site)
    page.text(body, "h2", "How it is meant")
    for sentence in small_print(numbers).plain.split("\n"):
        page.text(body, "p", sentence)
    return page.written_page(made)


def _money(body: Element, result: Result, numbers: Mapping[str, Any]) -> None:
    currency = numbers["currency"]
    page.text(body, "h2", "What it came to")
    rows = [
        ("energy", *pair(numbers["energy_wh"]["with"], numbers["energy_wh"]["without"], "MWh", MW)),
        ("energy bill", *pair(numbers["energy_bill"]["with"], numbers["energy_bill"]["without"], currency)),
        ("- payments", f"{Decimal(numbers['payments']):,.2f} {currency}", "for what was delivered"),
        ("+ penalties", f"{Decimal(numbers['penalties']):,.2f} {currency}", "for what was not delivered"),
        ("= net cost", *pair(numbers["net_cost"]["with"], numbers["net_cost"]["without"], currency)),
        ("CO2", *pair(numbers["co2_kg"]["with"], numbers["co2_kg"]["without"], "t", 1000)),
    ]
    if result.proof is not None:
        rows.append(("proof", "holds" if result.proof.holds else "does not hold", proved(result.proof)))
    page.table(scrolling(body, "What it came to"), ("what", "with orders", "beside it"), rows, figures=(1,))


def _prices(body: Element, day: figures.Day, asked: list[DispatchRequest], currency: str) -> None:
    page.text(body, "h2", "Prices, and when something was asked for")
    kinds = dict(zip(sorted(day.prices, key=lambda zone: zone != ZONE), ("first", "second"), strict=False))
    lines = [
        Steps(zone, kind, [(_local(start), _local(end), _number(price)) for start, end, price in curve.intervals()])
        for zone, kind in kinds.items()
        for curve in [day.prices[zone]]
    ]
    spans = [Span(_local(each.starts_at), _local(each.ends_at), _asked(each)) for each in asked]
    said = f"Day-ahead prices over the day, in {currency}/MWh; the periods of the requests are marked."
    steps(body, said, f"{currency}/MWh", lines, spans)


def _request(body: Element, day: figures.Day, request: DispatchRequest, currency: str) -> None:
    offers = in_merit_order(day, request)
    page.text(body, "h2", f"{request.operator} asks for {_asked(request)}")
    page.text(body, "p", request.text)
    blocks = [_block(offer, order, fate(day, offer, order).plain) for offer, order in offers]
    if blocks:
        said = f"{len(blocks)} offers in merit order; the table below has every figure."
        merit(body, said, f"{currency}/MWh", request.power_w / MW, blocks)
        page.text(
            body, "p", "As wide as their power, as high as their price; brown and dashed: ordered, and not taken on."
        )
    rows = [(*cells(offer, order), fate(day, offer, order).plain) for offer, order in offers]
    page.table(scrolling(body, f"Offers to {request.product}"), (*COLUMNS, FATE), rows, figures=range(2, len(COLUMNS)))
    page.text(body, "p", adds_up(day, request))
    taken = [order for _, order in offers if order is not None and order.accepted_w]
    page.text(body, "h3", "Ordered and delivered")
    pairs(body, "What each order asked for and what was delivered, in MWh.", "MWh", [_pair(each) for each in taken])


def _pair(order: figures.Order) -> Pair:
    return Pair(order.issued.site, order.awarded_wh / MW, order.delivered_wh / MW)


def _block(offer: FlexOffer, order: figures.Order | None, became: str) -> Block:
    option = offer.options[0]
    kind = "lost" if order is None else "kept" if order.accepted_w else "failed"
    said = f"{offer.site}: {mw(option.power_w)} MW at {option.price_per_mwh}, {became}"
    return Block(option.power_w / MW, float(option.price_per_mwh), kind, said)


def _site(body: Element, day: figures.Day, site: figures.SiteDay) -> None:
    page.text(body, "h3", f"{site.site} in {site.zone}")
    lines = [
        Steps(name, kind, list(_quarters(curve, day.interval_s)))
        for name, kind, curve in (("metered", "first", site.metered_w), ("baseline", "second", site.baseline_w))
    ]
    of_site = [order for order in day.orders.values() if order.issued.site == site.site and order.accepted_w]
    spans = [
        Span(
            _local(order.issued.starts_at),
            _local(order.issued.ends_at or order.issued.starts_at),
            f"ordered: {mw(order.accepted_w or 0)} MW",
        )
        for order in of_site
    ]
    said = f"{site.site}: baseline and metered power over the day, in MW; the periods of its orders are marked."
    steps(body, said, "MW", lines, spans)


def _quarters(curve: Mapping[datetime, int], interval_s: int) -> Iterator[tuple[datetime, datetime, float]]:
    for start, power_w in sorted(curve.items()):
        yield _local(start), _local(start + timedelta(seconds=interval_s)), power_w / MW


def _asked(request: DispatchRequest) -> str:
    way = "more" if request.direction == "LOAD_INCREASE" else "less"
    return f"{mw(request.power_w)} MW {way}, {clock(request.starts_at)}-{clock(request.ends_at)} ({request.product})"


def _local(moment: datetime) -> datetime:
    return moment.astimezone(MARKET)


def _number(price: Decimal | None) -> float | None:
    return None if price is None else float(price)
