"""Day-ahead and intraday auction prices out of an A44 document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

from gridsignal_schemas.messages import SpotPrice
from gridsignal_services.ingest.curves import Curve, by_day, clipped, joined
from gridsignal_services.ingest.elements import each
from gridsignal_services.ingest.feed import Ask, Malformed, NotYetAvailable
from gridsignal_services.ingest.providers.entsoe_document import Document, Series
from gridsignal_services.ingest.providers.entsoe_zones import zone_of
from gridsignal_services.ingest.schedule import MARKET_TIME, market_day

_CURRENCY = re.compile("[A-Z]{3}")
_DAY_AT_MOST = timedelta(hours=25)
_SEQUENCE = "classificationSequence_AttributeInstanceComponent.position"
_SEQUENCES = {"1": "SDAC", "2": "EXAA"}

Key = tuple[str, str, str, str, date]
"""Zone, product, dataset, currency, market day."""


def records(one: Document, ask: Ask) -> Iterator[SpotPrice]:
    """One SpotPrice per zone, auction, market day and resolution; other auctions' documents hold none."""
    groups: dict[Key, list[Curve]] = {}
    filled: dict[Key, bool] = {}
    kinds: set[str] = set()
    auctions = [(series, kind) for series in one.series if (kind := _auction(series, kinds))]
    named = each(auctions, "series", lambda one: (*one, _zone(one[0], ask), _currency(one[0])), ask)
    for series, kind, zone, currency in named:
        for curve in series.curves:
            for day in _days(curve):
                key = (zone, *kind, currency, market_day(day.starts_at + (day.ends_at - day.starts_at) / 2))
                groups.setdefault(key, []).append(day)
                filled[key] = filled.get(key, False) or series.filled
    if not groups:
        raise Malformed(f"expected prices of an implicit auction, got {', '.join(sorted(kinds))}")
    found = [r for key, curves in groups.items() for r in _day_records(key, curves, ask, filled=filled[key])]
    if not found:
        raise NotYetAvailable("entsoe holds no price for this window yet")
    yield from sorted(found, key=lambda record: (record.zone, record.dataset, record.starts_at))


def _auction(series: Series, others: set[str]) -> tuple[str, str] | None:
    """(product, dataset): the coupled day-ahead auction, the second one, or an intraday one; None for `others`."""
    others.add(f"auction.type {series.fields.get('auction.type', 'absent')}")
    fields = series.fields
    into, out_of = (fields.get(f"{name}_Domain.mRID") for name in ("in", "out"))
    if fields.get("auction.type", "A01") != "A01" or (into and out_of and into != out_of):
        return None  # explicit capacity auctions and borders are no zone's price
    sequence, contract = fields.get(_SEQUENCE), fields.get("contract_MarketAgreement.type", "A01")
    if contract == "A01":
        return "DAY_AHEAD", _SEQUENCES.get(sequence or "1", f"sequence-{sequence}")
    if contract == "A07":
        return "INTRADAY", f"IDA{sequence or ''}"
    return None


def _zone(series: Series, ask: Ask) -> str:
    domain, out_of = (series.fields.get(f"{name}_Domain.mRID", "") for name in ("in", "out"))
    if domain != out_of:
        raise Malformed(f"expected an in_Domain and an out_Domain, got {domain or out_of:.20} alone")
    zone = zone_of(domain, ask)
    if zone is None:
        raise Malformed(f"expected an area we know, got {domain:.20}: [markets.ZONE] area says it")
    return zone


def _currency(series: Series) -> str:
    unit, currency = series.fields.get("price_Measure_Unit.name", "MWH"), series.fields.get("currency_Unit.name", "")
    if unit.upper() != "MWH":
        raise Malformed(f"expected prices per MWH, got {unit or 'nothing':.10}")
    if not _CURRENCY.fullmatch(currency):
        raise Malformed(f"expected a currency such as EUR, got {currency!r:.10}")
    return currency


def _days(curve: Curve) -> list[Curve]:
    # a period of at most a day is a market day in the zone's own words, whatever its midnight
    return [curve] if curve.ends_at - curve.starts_at <= _DAY_AT_MOST else by_day(curve, MARKET_TIME)


def _day_records(key: Key, curves: list[Curve], ask: Ask, *, filled: bool) -> Iterator[SpotPrice]:
    zone, product, dataset, currency, _ = key
    for curve in joined(curves, ask.left_out):
        known = clipped(curve, *ask.span)
        if known is None or not any(value is not None for value in known.values):
            continue
        values = list(known.values)
        flags = [name for name, set_ in (("filled_a03", filled), ("gap", None in values)) if set_]
        if len(curves) > 1 and sum(len(c.values) for c in curves if c.resolution_s == curve.resolution_s) > len(
            curve.values
        ):
            flags.append("duplicate_dropped")
        yield SpotPrice.model_validate(
            {
                "zone": zone,
                "product": product,
                "dataset": dataset,
                "currency": currency,
                "starts_at": known.starts_at,
                "resolution_s": known.resolution_s,
                "prices_per_mwh": values,
                "status": "FINAL",
                "flags": flags,
                "provider": "entsoe",
                "observed_at": ask.now,
                "revision": 1,
            }
        )
