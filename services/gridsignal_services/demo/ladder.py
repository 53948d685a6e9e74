"""One request in a table: its offers in merit order, what was ordered, accepted and delivered, what was lacking."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gridsignal_schemas.messages import DispatchRequest, FlexOffer
from gridsignal_schemas.values import text_of_decimal
from gridsignal_services.demo import figures
from gridsignal_services.demo.spelling import clock, mw
from gridsignal_services.demo.sums import lacking_w

COLUMNS = ("site", "offer", "EUR/MWh", "offered", "ordered", "accepted", "delivered")
FATE = "what became of it"
_SHORT = 0.95
"""Below this share of what was accepted, an order was not kept."""


def ladder(day: figures.Day, request: DispatchRequest) -> Iterator[RenderableType]:
    """The request's table, and a line that says how the ordered power adds up."""
    way = "more" if request.direction == "LOAD_INCREASE" else "less"
    title = (
        f"{request.operator} ({request.purpose.lower()}): {mw(request.power_w)} MW {way},"
        f" {clock(request.starts_at)}-{clock(request.ends_at)}; power in MW"
    )
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    for name in COLUMNS[:2]:
        table.add_column(name, no_wrap=True)
    for name in COLUMNS[2:]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(FATE)
    for offer, order in in_merit_order(day, request):
        table.add_row(*cells(offer, order), fate(day, offer, order))
    yield table
    yield Text(f"  {adds_up(day, request)}\n")


def in_merit_order(day: figures.Day, request: DispatchRequest) -> list[tuple[FlexOffer, figures.Order | None]]:
    """The request's offers, the cheapest first, each with its order."""
    offers = [offer for offer in day.offers.values() if offer.request_id == request.request_id]
    orders = {order.issued.offer_id: order for order in day.orders.values()}
    return [(each, orders.get(each.offer_id)) for each in sorted(offers, key=lambda o: o.options[0].price_per_mwh)]


def cells(offer: FlexOffer, order: figures.Order | None) -> Iterator[str]:
    """The row of an offer, but for what became of it."""
    option = offer.options[0]
    yield offer.site
    yield option.option
    yield text_of_decimal(option.price_per_mwh)
    yield mw(option.power_w)
    yield mw(order.issued.power_w) if order else ""
    yield mw(order.accepted_w) if order and order.accepted_w else ""
    yield mw(order.delivered_wh * 3600 / order.seconds) if order and order.accepted_w else ""


def adds_up(day: figures.Day, request: DispatchRequest) -> str:
    """How the ordered power comes to what was asked for."""
    orders = [order for order in day.orders.values() if order.issued.request_id == request.request_id]
    ordered, accepted = sum(o.issued.power_w for o in orders), sum(o.accepted_w or 0 for o in orders)
    lacking, again = lacking_w(day, request), ordered - accepted
    line = f"{mw(accepted)} of {mw(request.power_w)} MW accepted"
    if again:
        line += f"; {mw(ordered)} MW ordered in all, {mw(again)} MW of it not taken on and called elsewhere"
    if lacking:
        line += f"; {mw(lacking)} MW lacking: nobody was left on standby, and an offer is called once"
    return f"{line}."


def fate(day: figures.Day, offer: FlexOffer, order: figures.Order | None) -> Text:
    """What became of an offer."""
    if order is None:
        codes = [r.code for c in day.clearings for r in c.rejected if r.offer_id == offer.offer_id]
        return Text(f"lost: {codes[-1].lower().replace('_', ' ')}" if codes else "not needed", "dim")
    again = any(
        award.offer_id == offer.offer_id for c in day.clearings if c.trigger == "SHORTFALL" for award in c.awards
    )
    first = "called from standby, " if again else ""
    if order.refused:
        return Text(f"{first}refused: {order.refused.lower().replace('_', ' ')}", "red")
    if order.voided:
        return Text(f"{first}no answer, so void", "red")
    if order.delivered_wh < _SHORT * order.awarded_wh:
        return Text(f"{first}accepted, fell short: penalty {order.penalty:,.2f} EUR", "yellow")
    if order.accepted_w is not None and order.accepted_w < order.issued.power_w:
        return Text(f"{first}accepted in part", "yellow")
    return Text(f"{first}accepted", "green")
