"""A month's statement as a page to print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from xml.etree.ElementTree import Element

from gridsignal_schemas.messages import Settlement
from gridsignal_schemas.messages.settlements import SettledInterval
from gridsignal_schemas.reports import OrderCarbon, StatementCarbon
from gridsignal_schemas.values import rfc3339
from gridsignal_services.dispatch.page import Bar, chart, facts, money, named, new_page, pieces_of, table, text, when
from gridsignal_services.dispatch.statement import Statement, StatementOrder, StatementTotal
from gridsignal_services.dispatch.views import DisputeView

_INTERVAL = (
    "from", "to", "baseline Wh", "actual Wh", "ordered Wh", "delivered Wh", "short Wh", "amount", "ramp", "readings",
)  # fmt: skip
_TOTAL = (
    "currency", "settled orders", "ordered Wh", "delivered Wh", "short Wh", "without figures",
    "intervals", "activation fees", "total",
)  # fmt: skip
_CARBON = ("accounting", "zone", "basis", "emitted g", "avoided g", "of Wh", "unknown Wh")


def statement_page(
    statement: Statement, orders: Sequence[StatementOrder], times: Mapping[str, tzinfo]
) -> Iterator[str]:
    """The page of a statement with these orders, in pieces; `times` are those of the zones, in which people read it."""
    page, body = new_page(f"Statement of {statement.month} for {statement.of}")
    _preface(body, statement, len(orders))
    table(body, _TOTAL, map(_total, statement.totals), range(1, len(_TOTAL)))
    if statement.carbon:
        text(body, "p", "CO2 is a report and no part of the settlements; average and marginal are never added.")
        table(body, _CARBON, map(_carbon_total, statement.carbon), range(3, len(_CARBON)))
    return pieces_of(page, (_section(order, times[order.zone]) for order in orders))


def _preface(body: Element, statement: Statement, shown: int) -> None:
    facts(
        body,
        ("as of", rfc3339(statement.as_of)),
        ("zone", statement.zone or "all"),
        ("site", statement.site or "all"),
        ("orders", str(statement.count)),
        ("not settled so far", str(statement.unsettled)),
    )
    if shown < statement.count:
        has = f"This page has {shown} of {statement.count} orders; the totals are of all of them."
        more = "" if statement.next is None else f" The next page begins after order {statement.next}."
        text(body, "p", has + more, "warning")
    text(body, "p", "Amounts are what the participant gets, or owes below zero; the operator's are their negative.")


def _total(total: StatementTotal) -> tuple[str, ...]:
    figures = (total.orders, total.ordered_wh, total.delivered_wh, total.deficiency_wh, total.missing)
    sums = (total.interval_amounts, total.activation_fees, total.total)
    return (total.currency, *map(str, figures), *map(money, sums))


def _carbon_total(total: StatementCarbon) -> tuple[str, ...]:
    figures = (total.emitted_grams, total.avoided_grams, total.known_wh, total.unknown_wh)
    return (str(total.accounting), total.zone, named(total.basis), *map(_figure, figures))


def _figure(value: int | None) -> str:
    return "-" if value is None else str(value)


# --- an order -------------------------------------------------------------------------------------------------------


def _section(order: StatementOrder, zone_time: tzinfo) -> Element:
    section = Element("section", id=f"order-{order.order_id}")
    _order(section, order, zone_time)
    return section


def _order(section: Element, order: StatementOrder, zone_time: tzinfo) -> None:
    text(section, "h2", f"Order {order.order_id}")
    facts(
        section,
        ("period", f"{when(order.starts_at, zone_time)} to {when(order.ended_at, zone_time)}"),
        ("zone", order.zone),
        ("site", order.site),
        ("participant", order.participant),
        ("request", order.request_id),
        ("direction", str(order.direction)),
        ("state", str(order.state)),
    )
    if (settlement := order.settlement) is None:
        text(section, "p", "This order is over and not settled so far: no total has it.", "warning")
        return
    _settled(section, settlement, order.logged_at)
    if settlement.intervals:
        what = "ordered (outline) and delivered (filled) by interval"
        bars = [Bar(line.ordered_wh, line.delivered_wh) for line in settlement.intervals]
        chart(section, what, f"ordered and delivered, {order.order_id}", bars)
    for carbon in order.carbon:
        _carbon(section, carbon)
    gaps = {(gap.starts_at, gap.ends_at): gap.code for gap in settlement.missing}
    lines = (_interval(line, gaps, zone_time) for line in settlement.intervals)
    table(section, _INTERVAL, lines, range(2, 8))
    if settlement.missing:
        text(section, "h3", "Without figures")
        missing = (
            (when(gap.starts_at, zone_time), when(gap.ends_at, zone_time), gap.code) for gap in settlement.missing
        )
        table(section, ("from", "to", "why"), missing)
    for dispute in order.disputes:
        _dispute(section, dispute)


def _settled(section: Element, settlement: Settlement, logged_at: datetime | None) -> None:
    rule, inputs = settlement.rule, settlement.inputs
    fee = settlement.activation_fee
    supersedes = "" if settlement.supersedes is None else f", in place of version {settlement.supersedes}"
    written = "" if logged_at is None else f", written {rfc3339(logged_at)}"
    facts(
        section,
        ("total", f"{money(settlement.total)} {settlement.currency}"),
        ("activation fee in it", "none" if fee is None else f"{money(fee)} {settlement.currency}"),
        ("settlement", settlement.settlement_id),
        ("version", f"{settlement.version}, {settlement.status}{supersedes}{written}"),
        ("reason", settlement.reason),
        ("rule", f"{rule.name} {rule.version}, sha256 {rule.sha256}"),
        ("readings", f"{inputs.readings}, sha256 {inputs.readings_sha256}"),
        ("baseline", f"sha256 {inputs.baseline_sha256}"),
        ("log", f"root {inputs.root or 'not said'}"),
    )


def _carbon(section: Element, carbon: OrderCarbon) -> None:
    of = f"{carbon.known_wh} Wh delivered, unknown for {carbon.unknown_wh} Wh"
    sums = f"{_figure(carbon.emitted_grams)} g emitted, {_figure(carbon.avoided_grams)} g avoided, of {of}"
    by = f"{named(carbon.basis)}, as known {rfc3339(carbon.known_at)}"
    facts(section, (f"CO2, {str(carbon.accounting).lower()}", f"{sums}; {by}"))


def _interval(line: SettledInterval, gaps: dict[tuple[datetime, datetime], str], zone_time: tzinfo) -> tuple[str, ...]:
    energies = (line.baseline_wh, line.actual_wh, line.ordered_wh, line.delivered_wh, line.deficiency_wh)
    ramp = {None: "-", True: "ok", False: "too fast"}[line.ramp_ok]
    said = " ".join(filter(None, (*line.qualities, gaps.get((line.starts_at, line.ends_at)))))
    ends = (when(line.starts_at, zone_time), when(line.ends_at, zone_time))
    amount = "-" if line.amount is None else money(line.amount)
    return (*ends, *("-" if energy is None else str(energy) for energy in energies), amount, ramp, said)


def _dispute(section: Element, dispute: DisputeView) -> None:
    text(section, "h3", f"Dispute of version {dispute.version}")
    facts(
        section,
        ("by", dispute.actor),
        ("received", rfc3339(dispute.received_at)),
        ("reason", dispute.reason_code),
        ("text", dispute.text),
        ("total claimed", "none" if dispute.claimed is None else money(dispute.claimed)),
        ("answer", "none so far, or a newer version" if dispute.answer is None else dispute.answer),
    )
