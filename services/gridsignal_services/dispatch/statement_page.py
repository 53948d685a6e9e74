"""A month's statement as a page to print: HTML that holds all it needs, without a script and without a network.

The page is put together as a tree of elements, so that whatever somebody wrote in a record can be nothing but text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from xml.etree.ElementTree import Element, SubElement, tostring

from gridsignal_schemas.messages import Settlement
from gridsignal_schemas.messages.settlements import SettledInterval
from gridsignal_schemas.values import rfc3339, text_of_decimal
from gridsignal_services.dispatch.statement import Statement, StatementOrder, StatementTotal
from gridsignal_services.dispatch.views import DisputeView

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Whoever opens the file is held to it, too."""
_STYLE = """
body { font: 10pt/1.4 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; color: #111; }
h1 { font-size: 1.5em; } h2 { font-size: 1.1em; margin-top: 2em; border-top: 1px solid #999; padding-top: 0.6em; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.15em 0.5em; border-bottom: 1px solid #ddd; vertical-align: top; }
th { font-weight: 600; } .figure { text-align: right; white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1em; margin: 0.5em 0; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
svg { width: 100%; height: auto; margin: 0.5em 0; } .warning { font-weight: 600; }
.ordered { fill: none; stroke: #111; } .delivered { fill: #4a7fb5; } .unknown { fill: #ddd; }
.axis { stroke: #999; } svg text { font-size: 11px; fill: #111; }
@media print {
  @page { margin: 15mm; }
  body { margin: 0; max-width: none; padding: 0; font-size: 9pt; }
  thead { display: table-header-group; } tr, svg, dl { break-inside: avoid; } h2 { break-after: avoid; }
  .delivered, .unknown { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
_INTERVAL = (
    "from", "to", "baseline Wh", "actual Wh", "ordered Wh", "delivered Wh", "short Wh", "amount", "ramp", "readings",
)  # fmt: skip
_TOTAL = (
    "currency", "settled orders", "ordered Wh", "delivered Wh", "short Wh", "without figures",
    "intervals", "activation fees", "total",
)  # fmt: skip
_WIDTH, _HEIGHT, _TOP = 800, 120, 20


def statement_page(statement: Statement, times: Mapping[str, tzinfo]) -> str:
    """The page; `times` are those of the zones, in which people read it."""
    page = Element("html", lang="en")
    head = SubElement(page, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY})
    title = f"Statement of {statement.month} for {statement.of}"
    _text(head, "title", title)
    _text(head, "style", _STYLE)
    body = SubElement(page, "body")
    _text(body, "h1", title)
    _preface(body, statement)
    _table(body, _TOTAL, map(_total, statement.totals), range(1, len(_TOTAL)))
    for order in statement.orders:
        _order(body, order, times[order.zone])
    return "<!doctype html>\n" + tostring(page, encoding="unicode", method="html") + "\n"


def _preface(body: Element, statement: Statement) -> None:
    _facts(
        body,
        ("as of", rfc3339(statement.as_of)),
        ("zone", statement.zone or "all"),
        ("site", statement.site or "all"),
        ("orders", str(statement.count)),
        ("not settled so far", str(statement.unsettled)),
    )
    if len(statement.orders) < statement.count:
        shown = f"This page has {len(statement.orders)} of {statement.count} orders; the totals are of all of them."
        more = "" if statement.next is None else f" The next page begins after order {statement.next}."
        _text(body, "p", shown + more, "warning")
    _text(body, "p", "Amounts are what the participant gets, or owes below zero; the operator's are their negative.")


def _total(total: StatementTotal) -> tuple[str, ...]:
    figures = (total.orders, total.ordered_wh, total.delivered_wh, total.deficiency_wh, total.missing)
    money = (total.interval_amounts, total.activation_fees, total.total)
    return (total.currency, *map(str, figures), *map(_money, money))


# --- an order -------------------------------------------------------------------------------------------------------


def _order(body: Element, order: StatementOrder, zone_time: tzinfo) -> None:
    section = SubElement(body, "section", id=f"order-{order.order_id}")
    _text(section, "h2", f"Order {order.order_id}")
    _facts(
        section,
        ("period", f"{_when(order.starts_at, zone_time)} to {_when(order.ended_at, zone_time)}"),
        ("zone", order.zone),
        ("site", order.site),
        ("participant", order.participant),
        ("request", order.request_id),
        ("state", str(order.state)),
    )
    if (settlement := order.settlement) is None:
        _text(section, "p", "This order is over and not settled so far: no total has it.", "warning")
        return
    _settled(section, settlement, order.logged_at)
    if settlement.intervals:
        _chart(section, settlement.intervals, order.order_id)
    gaps = {(gap.starts_at, gap.ends_at): gap.code for gap in settlement.missing}
    lines = (_interval(line, gaps, zone_time) for line in settlement.intervals)
    _table(section, _INTERVAL, lines, range(2, 8))
    if settlement.missing:
        _text(section, "h3", "Without figures")
        missing = (
            (_when(gap.starts_at, zone_time), _when(gap.ends_at, zone_time), gap.code) for gap in settlement.missing
        )
        _table(section, ("from", "to", "why"), missing)
    for dispute in order.disputes:
        _dispute(section, dispute)


def _settled(section: Element, settlement: Settlement, logged_at: datetime | None) -> None:
    rule, inputs = settlement.rule, settlement.inputs
    fee = settlement.activation_fee
    supersedes = "" if settlement.supersedes is None else f", in place of version {settlement.supersedes}"
    written = "" if logged_at is None else f", written {rfc3339(logged_at)}"
    _facts(
        section,
        ("total", f"{_money(settlement.total)} {settlement.currency}"),
        ("activation fee in it", "none" if fee is None else f"{_money(fee)} {settlement.currency}"),
        ("settlement", settlement.settlement_id),
        ("version", f"{settlement.version}, {settlement.status}{supersedes}{written}"),
        ("reason", settlement.reason),
        ("rule", f"{rule.name} {rule.version}, sha256 {rule.sha256}"),
        ("readings", f"{inputs.readings}, sha256 {inputs.readings_sha256}"),
        ("baseline", f"sha256 {inputs.baseline_sha256}"),
        ("log", f"root {inputs.root or 'not said'}"),
    )


def _interval(line: SettledInterval, gaps: dict[tuple[datetime, datetime], str], zone_time: tzinfo) -> tuple[str, ...]:
    energies = (line.baseline_wh, line.actual_wh, line.ordered_wh, line.delivered_wh, line.deficiency_wh)
    ramp = {None: "-", True: "ok", False: "too fast"}[line.ramp_ok]
    said = " ".join(filter(None, (*line.qualities, gaps.get((line.starts_at, line.ends_at)))))
    ends = (_when(line.starts_at, zone_time), _when(line.ends_at, zone_time))
    amount = "-" if line.amount is None else _money(line.amount)
    return (*ends, *("-" if energy is None else str(energy) for energy in energies), amount, ramp, said)


def _dispute(section: Element, dispute: DisputeView) -> None:
    _text(section, "h3", f"Dispute of version {dispute.version}")
    _facts(
        section,
        ("by", dispute.actor),
        ("received", rfc3339(dispute.received_at)),
        ("reason", dispute.reason_code),
        ("text", dispute.text),
        ("total claimed", "none" if dispute.claimed is None else _money(dispute.claimed)),
        ("answer", "none so far, or a newer version" if dispute.answer is None else dispute.answer),
    )


def _chart(section: Element, lines: Sequence[SettledInterval], name: str) -> None:
    """Ordered as an outline, delivered filled, grey where it is not known; by intervals of equal width."""
    top = max([1, *(max(line.ordered_wh, line.delivered_wh or 0) for line in lines)])
    height = _TOP + _HEIGHT
    svg = SubElement(
        section,
        "svg",
        {"viewBox": f"0 0 {_WIDTH} {height + 4}", "role": "img", "aria-label": f"ordered and delivered, {name}"},
    )
    _text(svg, "text", f"ordered (outline) and delivered (filled) by interval; highest {top} Wh").attrib.update(
        x="0", y="12"
    )
    for at, line in enumerate(lines):
        left, right = (_WIDTH * each // len(lines) for each in (at, at + 1))
        width = max(1, right - left - 1)
        known = line.delivered_wh is not None
        for kind, energy in (("delivered" if known else "unknown", line.delivered_wh), ("ordered", line.ordered_wh)):
            tall = _HEIGHT * (top if energy is None else energy) // top
            place = {"x": left, "y": height - tall, "width": width, "height": tall}
            SubElement(svg, "rect", {"class": kind} | {key: str(value) for key, value in place.items()})
    SubElement(svg, "line", {"class": "axis", "x1": "0", "y1": str(height), "x2": str(_WIDTH), "y2": str(height)})


# --- elements -------------------------------------------------------------------------------------------------------


def _text(parent: Element, tag: str, text: str, kind: str = "") -> Element:
    element = SubElement(parent, tag, {"class": kind} if kind else {})
    element.text = text
    return element


def _facts(parent: Element, *facts: tuple[str, str]) -> None:
    listed = SubElement(parent, "dl")
    for name, text in facts:
        _text(listed, "dt", name)
        _text(listed, "dd", text)


def _table(
    parent: Element, headings: Sequence[str], rows: Iterable[Sequence[str]], figures: Sequence[int] = ()
) -> None:
    """A table; `figures` are the columns that stand to the right."""
    kinds = ["figure" if column in figures else "" for column in range(len(headings))]
    table = SubElement(parent, "table")
    line = SubElement(SubElement(table, "thead"), "tr")
    for heading, kind in zip(headings, kinds, strict=True):
        _text(line, "th", heading, kind)
    body = SubElement(table, "tbody")
    for row in rows:
        line = SubElement(body, "tr")
        for cell, kind in zip(row, kinds, strict=True):
            _text(line, "td", cell, kind)


def _money(amount: Decimal) -> str:
    return text_of_decimal(amount)


def _when(moment: datetime, zone_time: tzinfo) -> str:
    """By the zone's clock with its offset, as exact as it is."""
    return moment.astimezone(zone_time).isoformat(" ")
