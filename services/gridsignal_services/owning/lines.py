"""An order's lines and their total, by the rule of its request: what a settlement says of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

from gridsignal_schemas.messages import MeterReading, MissingPeriod, SettledInterval
from gridsignal_services.ledger.amounts import exactly
from gridsignal_services.ledger.delivered import DeliveryInterval, Terms, measured, unmeasured
from gridsignal_services.settlement.delivery import amount, wh_of
from gridsignal_services.settlement.energy import Gap
from gridsignal_services.settlement.rules import SettlementRule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND, _MICRO = timedelta(microseconds=1), 1_000_000


class Lines(NamedTuple):
    """What an order came to."""

    intervals: list[SettledInterval]
    missing: list[MissingPeriod]
    total: Decimal


def lines_of(terms: Terms, readings: Iterable[MeterReading] | None, rule: SettlementRule, fee: Decimal | None) -> Lines:
    """The lines of an order, one for each settlement period or known part of one; None: too many readings."""
    metered = unmeasured(terms, Gap.TOO_MANY_READINGS) if readings is None else measured(terms, readings)
    whole = list(_whole(terms, metered))
    grouped = groupby(_cut(whole, timedelta(seconds=rule.interval_s)), key=lambda each: (each[0], _is_known(each[1])))
    intervals = [_line(terms, [part for _, part in parts]) for _, parts in grouped]
    missing = [
        MissingPeriod(starts_at=part.starts_at, ends_at=part.ends_at, code=part.gap or "")
        for part in whole
        if not _is_known(part)
    ]
    with exactly():
        paid = fee if fee is not None and rule.pays_activation_fee else Decimal(0)
        return Lines(intervals, missing, sum((line.amount or Decimal(0) for line in intervals), paid))


def _whole(terms: Terms, metered: Iterable[DeliveryInterval]) -> Iterator[DeliveryInterval]:
    """The whole period: what nobody metered is missing, too."""
    since = terms.starts_at
    for each in metered:
        if since < each.starts_at:
            yield from _nothing(terms, since, each.starts_at)
        yield each
        since = each.ends_at
    if since < terms.ends_at:
        yield from _nothing(terms, since, terms.ends_at)


def _nothing(terms: Terms, starts_at: datetime, ends_at: datetime) -> Iterator[DeliveryInterval]:
    for each in unmeasured(terms, Gap.METER_MISSING):
        part = _part(each, max(each.starts_at, starts_at), min(each.ends_at, ends_at))
        if part.starts_at < part.ends_at:
            yield part


def _cut(whole: Iterable[DeliveryInterval], step: timedelta) -> Iterator[tuple[int, DeliveryInterval]]:
    """Each part with the number of its settlement period, in which it lies whole."""
    for each in whole:
        since = each.starts_at
        while since < each.ends_at:
            number = (since - _EPOCH) // step
            until = min(each.ends_at, _EPOCH + (number + 1) * step)
            yield number, _part(each, since, until)
            since = until


def _part(each: DeliveryInterval, starts_at: datetime, ends_at: datetime) -> DeliveryInterval:
    return each.model_copy(update={"starts_at": starts_at, "ends_at": ends_at})


def _is_known(each: DeliveryInterval) -> bool:
    return each.delivered_w is not None


def _line(terms: Terms, parts: list[DeliveryInterval]) -> SettledInterval:
    starts_at, ends_at = parts[0].starts_at, parts[-1].ends_at
    ordered_wh = wh_of(_sum(parts, "ordered_w"))
    if not _is_known(parts[0]):
        return SettledInterval(starts_at=starts_at, ends_at=ends_at, ordered_wh=ordered_wh, qualities=[])
    delivered, lacking = _sum(parts, "delivered_w"), _sum(parts, "deficiency_w")
    with exactly():
        worth = amount(delivered, terms.price_per_mwh) - amount(lacking, terms.deficiency_price_per_mwh)
    return SettledInterval(
        starts_at=starts_at,
        ends_at=ends_at,
        baseline_wh=wh_of(_sum(parts, "baseline_w")),
        actual_wh=wh_of(_sum(parts, "actual_w")),
        ordered_wh=ordered_wh,
        delivered_wh=wh_of(delivered),
        deficiency_wh=wh_of(lacking),
        qualities=[],
        amount=worth,
    )


def _sum(parts: Iterable[DeliveryInterval], power: str) -> int:
    """In watt-seconds."""
    powers = ((getattr(each, power) or 0, each.ends_at - each.starts_at) for each in parts)
    return sum(power_w * (span // _MICROSECOND) for power_w, span in powers) // _MICRO
