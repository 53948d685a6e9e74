"""A month's statement: what the orders that began in it came to, by the newest version of each settlement.

    Month              a month of the calendar; where it begins depends on a zone's time
    Statement          totals by currency, and the orders a page at a time
    StatementLine      a row of its CSV; the amounts of all rows of a currency add up to its total

Amounts are the participant's flow, as in the records: the operator's is their negative. Nothing is rounded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo

from gridsignal_schemas.messages import (
    Accounting,
    Direction,
    DispatchOrder,
    Mix,
    Quality,
    Scope,
    Settlement,
    SettlementStatus,
)
from gridsignal_schemas.messages.settlements import SettledInterval
from gridsignal_schemas.reports import OrderCarbon, StatementCarbon
from gridsignal_schemas.rules.lifecycle import SettlementState
from gridsignal_schemas.values import Currency, Identifier, Shape, Timestamp, Zone
from gridsignal_services.dispatch.views import DisputeView, disputes_of
from gridsignal_services.ledger.amounts import Amount, exactly
from gridsignal_services.ledger.tracked import TrackedSettlement

_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")


class Month(NamedTuple):
    """A month of the calendar, of this century."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for anything but YYYY-MM."""
        if not (found := _MONTH.fullmatch(text)):
            message = f"expected a month such as 2024-05, got {text!r:.40}"
            raise ValueError(message)
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.year}-{self.number:02}"

    def begins(self, zone_time: ZoneInfo) -> datetime:
        """Its first midnight by a zone's time, in UTC."""
        return datetime(self.year, self.number, 1, tzinfo=zone_time).astimezone(UTC)

    def ends(self, zone_time: ZoneInfo) -> datetime:
        """The next month's first midnight there."""
        years, before = divmod(self.number, 12)
        return Month(self.year + years, before + 1).begins(zone_time)

    def has(self, moment: datetime, zone_time: ZoneInfo) -> bool:
        """Whether a moment lies in it by a zone's time."""
        return self.begins(zone_time) <= moment < self.ends(zone_time)


class StatementTotal(Shape):
    """The sums of one currency, over all settled orders of the statement whatever page they are on."""

    currency: Currency
    orders: int
    """Those that are settled, in any version."""
    ordered_wh: int
    delivered_wh: int
    """Of the intervals that have figures."""
    deficiency_wh: int
    """Of the intervals that have figures."""
    missing: int
    """How many stretches have no figures: while there are any, the sums may grow."""
    interval_amounts: Amount
    activation_fees: Amount
    total: Amount
    """Of the settlements' totals: what the participants get, or owe below zero."""


class StatementOrder(Shape):
    """An order that is over, and the newest version of its settlement."""

    order_id: Identifier
    request_id: Identifier
    zone: Zone
    participant: Identifier
    site: Identifier
    starts_at: Timestamp
    ended_at: Timestamp
    direction: Direction
    state: SettlementState
    """DUE: it is not settled so far."""
    logged_at: Timestamp | None
    """When this version was written."""
    settlement: Settlement | None
    disputes: list[DisputeView]
    """Of all versions, the oldest first."""
    carbon: list[OrderCarbon]
    """What it was in CO2, by average and by marginal; empty while it is not settled. No part of the settlement."""


class Statement(Shape):
    """A page of a month's statement; pass `next` as `after` for the following one, the totals are of all pages."""

    month: str
    of: str
    """Whose it is: role and organisation."""
    as_of: Timestamp
    zone: str | None
    """The zone that was asked for; null: all."""
    site: str | None
    """The site that was asked for; null: all."""
    count: int
    """Orders on all pages."""
    unsettled: int
    """Of them, those without a settlement so far: no total has them."""
    totals: list[StatementTotal]
    """By currency, in order of its code: two are never added."""
    carbon: list[StatementCarbon]
    """By zone, accounting and basis: what differs in one of them is never added."""
    orders: list[StatementOrder]
    """By their start."""
    next: str | None


class StatementLine(Shape):
    """A row of a statement's CSV."""

    month: str
    order_id: str
    request_id: str
    zone: str
    participant: str
    site: str
    kind: str
    """INTERVAL; FEE: what the activation alone is paid; ORDER: it has neither, such as one that is not settled;
    CARBON: what the order was in CO2 by one accounting."""
    starts_at: Timestamp
    """Of the interval; elsewhere of the order."""
    ends_at: Timestamp
    baseline_wh: int | None = None
    actual_wh: int | None = None
    ordered_wh: int | None = None
    delivered_wh: int | None = None
    deficiency_wh: int | None = None
    ramp_ok: bool | None = None
    qualities: list[Quality] | None = None
    missing: str | None = None
    """Why the interval has no figures."""
    amount: Amount | None = None
    """What the participant gets, or owes below zero; all rows of a currency add up to its total."""
    currency: str | None = None
    state: SettlementState
    status: SettlementStatus | None = None
    settlement_id: str | None = None
    version: int | None = None
    supersedes: int | None = None
    reason: str | None = None
    """Why there is this version."""
    logged_at: Timestamp | None = None
    rule: str | None = None
    rule_version: int | None = None
    rule_sha256: str | None = None
    readings: int | None = None
    readings_sha256: str | None = None
    baseline_sha256: str | None = None
    accounting: Accounting | None = None
    scope: Scope | None = None
    mix: Mix | None = None
    provider: str | None = None
    dataset: str | None = None
    known_at: Timestamp | None = None
    """As the carbon was known then."""
    emitted_grams: int | None = None
    avoided_grams: int | None = None
    known_wh: int | None = None
    """Delivered, and what `avoided_grams` are of."""
    unknown_wh: int | None = None
    root: str | None = None


@dataclass(slots=True)
class Sums:
    """The totals while they are added up, one order after the other."""

    unsettled: int = 0
    by_currency: dict[str, _Sum] = field(default_factory=dict)

    def add(self, settlement: Settlement | None) -> None:
        """Adds an order by the newest version of its settlement."""
        if settlement is None:
            self.unsettled += 1
        else:
            self.by_currency.setdefault(settlement.currency, _Sum()).add(settlement)

    def totals(self) -> list[StatementTotal]:
        """In order of the currencies' codes."""
        return [found.line(currency) for currency, found in sorted(self.by_currency.items())]


@dataclass(slots=True)
class _Sum:
    orders: int = 0
    ordered_wh: int = 0
    delivered_wh: int = 0
    deficiency_wh: int = 0
    missing: int = 0
    interval_amounts: Decimal = Decimal(0)
    activation_fees: Decimal = Decimal(0)
    total: Decimal = Decimal(0)

    def add(self, settlement: Settlement) -> None:
        self.orders += 1
        self.missing += len(settlement.missing)
        with exactly():
            for line in settlement.intervals:
                self.ordered_wh += line.ordered_wh
                self.delivered_wh += line.delivered_wh or 0
                self.deficiency_wh += line.deficiency_wh or 0
                self.interval_amounts += line.amount or 0
            self.activation_fees += settlement.activation_fee or 0
            self.total += settlement.total

    def line(self, currency: str) -> StatementTotal:
        return StatementTotal(
            currency=currency,
            orders=self.orders,
            ordered_wh=self.ordered_wh,
            delivered_wh=self.delivered_wh,
            deficiency_wh=self.deficiency_wh,
            missing=self.missing,
            interval_amounts=self.interval_amounts,
            activation_fees=self.activation_fees,
            total=self.total,
        )


def statement_order(order: DispatchOrder, tracked: TrackedSettlement) -> StatementOrder:
    """An order that is over, as a statement has it."""
    return StatementOrder(
        order_id=order.order_id,
        request_id=order.request_id,
        zone=order.zone,
        participant=order.participant,
        site=order.site,
        starts_at=order.starts_at,
        ended_at=tracked.ended_at,
        direction=order.direction,
        state=tracked.state,
        logged_at=tracked.logged_at,
        settlement=tracked.newest,
        disputes=disputes_of(tracked),
        carbon=[],
    )


def statement_lines(month: str, order: StatementOrder) -> Iterator[StatementLine]:
    """An order of a month's statement as rows: its intervals, then its fee."""
    names = ("order_id", "request_id", "zone", "participant", "site", "state", "logged_at")
    told: dict[str, Any] = {name: getattr(order, name) for name in names} | {"month": month}
    whole: dict[str, Any] = {"starts_at": order.starts_at, "ends_at": order.ended_at}
    if (settlement := order.settlement) is None:
        yield StatementLine(kind="ORDER", **whole, **told)
        return
    told |= _version(settlement)
    gaps = {(gap.starts_at, gap.ends_at): gap.code for gap in settlement.missing}
    for line in settlement.intervals:
        figures = {name: getattr(line, name) for name in SettledInterval.model_fields}
        yield StatementLine(kind="INTERVAL", missing=gaps.get((line.starts_at, line.ends_at)), **figures, **told)
    if (fee := settlement.activation_fee) is not None:
        yield StatementLine(kind="FEE", amount=fee, **whole, **told)
    elif not settlement.intervals:
        yield StatementLine(kind="ORDER", amount=settlement.total, **whole, **told)
    for carbon in order.carbon:
        yield StatementLine(kind="CARBON", **_carbon(carbon), **whole, **told)


def _carbon(carbon: OrderCarbon) -> dict[str, Any]:
    names = ("accounting", "known_at", "emitted_grams", "avoided_grams", "known_wh", "unknown_wh")
    basis = {} if carbon.basis is None else carbon.basis.model_dump()
    return basis | {name: getattr(carbon, name) for name in names}


def _version(settlement: Settlement) -> dict[str, Any]:
    names = ("currency", "status", "settlement_id", "version", "supersedes", "reason")
    rule = settlement.rule
    return (
        {name: getattr(settlement, name) for name in names}
        | {"rule": rule.name, "rule_version": rule.version, "rule_sha256": rule.sha256}
        | settlement.inputs.model_dump(include={"readings", "readings_sha256", "baseline_sha256", "root"})
    )
