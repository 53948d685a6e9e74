"""PRICE and GHG payloads as series: split evenly, the urgent event first, cut at the market's midnights."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from gridsignal_schemas.messages import CarbonIntensity, SpotPrice
from gridsignal_services.ingest.curves import Curve
from gridsignal_services.ingest.elements import each
from gridsignal_services.ingest.feed import Ask, Malformed
from gridsignal_services.ingest.figures import decimal_of, is_grams_per_kwh, list_of
from gridsignal_services.ingest.markets import Market, market_of
from gridsignal_services.ingest.providers.openadr3_event import OpenAdrEvent, Payload
from gridsignal_services.ingest.schedule import day_starts_at, market_day

_PER_MWH = {"KWH": 1000, "MWH": 1}
_CURRENCY = re.compile("[A-Z]{3}")
_GRAMS = {"", "GHG", "G/KWH", "GCO2/KWH", "G_PER_KWH"}
_HOUR = timedelta(hours=1)
_LONGEST_STEP = timedelta(days=1)


Stretch = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Piece:
    """One value for [starts_at, ends_at)."""

    starts_at: datetime
    ends_at: datetime
    value: Decimal


def series(events: Iterable[OpenAdrEvent], zone: str, ask: Ask) -> Iterator[SpotPrice | CarbonIntensity]:
    """The prices and marginal intensities of events, each program a dataset; no instant is told twice."""
    market = market_of(zone)
    taken: dict[tuple[str, str, str], list[Stretch]] = {}
    for event in sorted(events, key=lambda event: event.order):
        for (kind, currency, assumed), pieces in _pieces(event, ask, market).items():
            before = taken.get((kind, event.program, currency), [])
            free = [part for piece in pieces for part in _uncovered(piece, before)]
            taken[kind, event.program, currency] = _united(before, free)
            names = {"zone": zone, "dataset": event.program, "currency": currency}
            for curve in _curves(free, market):
                yield _record(kind, curve, event, names, ask, assumed=assumed)


Group = tuple[str, str, bool]
"""Kind, currency (of a price), whether the currency is assumed."""


def _pieces(event: OpenAdrEvent, ask: Ask, market: Market) -> dict[Group, list[Piece]]:
    """Each value with its time; several values share their interval evenly. One that can't be read is a gap."""
    found: dict[Group, list[Piece]] = {}
    name = f"event {event.key:.60}"
    payloads = [one for one in event.payloads if one.kind in ("PRICE", "GHG")]
    read_one = partial(_series_of, event, ask=ask, market=market)
    for one, group, parts in each(payloads, f"{name}, price or GHG", read_one, ask, some=False):
        of_interval = f"{name}, interval {one.span.index + 1}, {one.kind} value"
        found.setdefault(group, []).extend(each(parts, of_interval, partial(_piece, one), ask, some=False))
    return {group: pieces for group, pieces in found.items() if pieces}


def _series_of(
    event: OpenAdrEvent, payload: Payload, ask: Ask, market: Market
) -> tuple[Payload, Group, list[tuple[datetime, datetime, Any]]]:
    if event.units_unknown and not payload.unit:  # per kWh only where nobody says otherwise
        raise Malformed(
            f"expected the units of {payload.kind}, got none, and program {event.program:.60} may not be read"
        )
    return payload, _group(payload, ask, market), list(_shares(payload))


def _group(payload: Payload, ask: Ask, market: Market) -> Group:
    if payload.kind != "PRICE":
        return payload.kind, "", False
    given = payload.currency or str(ask.settings.get("currency") or "").strip().upper()
    currency = given or market.currency
    if not _CURRENCY.fullmatch(currency):
        raise Malformed(f"expected a currency such as EUR, got {currency!r:.20}")
    return payload.kind, currency, not given


def _shares(payload: Payload) -> Iterator[tuple[datetime, datetime, Any]]:
    span, values = payload.span, list_of(payload.values, "values")
    if span.ends_at is None:
        raise Malformed("expected a duration, or an interval after it, got neither")
    step_s, rest = divmod(span.ends_at - span.starts_at, max(1, len(values)) * timedelta(seconds=1))
    if rest or not values or not step_s:
        raise Malformed(f"expected {len(values)} values that share {span.ends_at - span.starts_at} evenly")
    for i, value in enumerate(values):
        starts_at = span.starts_at + i * timedelta(seconds=step_s)
        yield starts_at, starts_at + timedelta(seconds=step_s), value


def _piece(payload: Payload, part: tuple[datetime, datetime, Any]) -> Piece:
    return Piece(part[0], part[1], _scaled(payload, part[2]))


def _scaled(payload: Payload, value: object) -> Decimal:
    unit = payload.unit.replace(" ", "")
    if payload.kind == "GHG":
        if unit not in _GRAMS and not is_grams_per_kwh(unit):
            raise Malformed(f"expected GHG in g/kWh, got {unit:.20}")
        return decimal_of(value)
    if (unit or "KWH") not in _PER_MWH:
        raise Malformed(f"expected a price per KWH, got per {unit:.20}")
    return decimal_of(value, scale=_PER_MWH[unit or "KWH"])


def _uncovered(piece: Piece, taken: list[Stretch]) -> Iterator[Piece]:
    """What is left of a piece where nobody more urgent spoke; `taken` is in order."""
    start = piece.starts_at
    for at in range(max(0, bisect_left(taken, (start, start)) - 1), len(taken)):
        begin, end = taken[at]
        if begin >= piece.ends_at:
            break
        if start < begin:
            yield Piece(start, begin, piece.value)
        start = max(start, end)
    if start < piece.ends_at:
        yield Piece(start, piece.ends_at, piece.value)


def _united(taken: list[Stretch], pieces: Iterable[Piece]) -> list[Stretch]:
    """All of it in order, what touches made one."""
    united: list[Stretch] = []
    for begin, end in sorted([*taken, *((piece.starts_at, piece.ends_at) for piece in pieces)]):
        if united and begin <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((begin, end))
    return united


def _curves(pieces: Iterable[Piece], market: Market) -> Iterator[Curve]:
    """Runs of equal steps within a market day: a longer run would change its identity with every new day."""
    run: list[Piece] = []
    in_order = sorted((part for piece in pieces for part in _by_day(piece, market)), key=lambda part: part.starts_at)
    for piece in in_order:
        if run and not _continues(run[-1], piece, market):
            yield _curve(run)
            run = []
        run.append(piece)
    if run:
        yield _curve(run)


def _continues(last: Piece, piece: Piece, market: Market) -> bool:
    same_day = market_day(last.starts_at, market.timezone) == market_day(piece.starts_at, market.timezone)
    same_step = last.ends_at - last.starts_at == piece.ends_at - piece.starts_at
    return same_day and same_step and last.ends_at == piece.starts_at


def _by_day(piece: Piece, market: Market) -> Iterator[Piece]:
    start = piece.starts_at
    while start < piece.ends_at:
        midnight = day_starts_at(market_day(start, market.timezone) + timedelta(days=1), market.timezone)
        end = min(piece.ends_at, midnight)
        step = _HOUR if end - start > _LONGEST_STEP else end - start  # a day of 25 hours is longer than a step may be
        while start < end:
            yield Piece(start, start + step, piece.value)
            start += step


def _curve(run: list[Piece]) -> Curve:
    step = run[0].ends_at - run[0].starts_at
    if step % timedelta(seconds=1):
        raise Malformed(f"expected steps of whole seconds, got {step}")
    return Curve(run[0].starts_at, step // timedelta(seconds=1), tuple(piece.value for piece in run))


def _record(
    kind: str, curve: Curve, event: OpenAdrEvent, names: dict[str, str], ask: Ask, *, assumed: bool
) -> SpotPrice | CarbonIntensity:
    randomized = any(span.randomized for span in event.spans)
    flags = [name for name, is_so in (("randomized_start", randomized), ("currency_assumed", assumed)) if is_so]
    fields: dict[str, Any] = {
        "zone": names["zone"],
        "dataset": names["dataset"],
        "starts_at": curve.starts_at,
        "resolution_s": curve.resolution_s,
        "flags": flags,
        "provider": "openadr3",
        "issued_at": event.issued_at,
        "observed_at": ask.now,
        "revision": 1,
    }
    values = list(curve.values)
    if kind == "PRICE":
        product = ask.settings.get("product", "DAY_AHEAD")
        priced = {"product": product, "currency": names["currency"], "prices_per_mwh": values, "status": "FINAL"}
        return SpotPrice.model_validate(fields | priced)
    basis = {"accounting": "MARGINAL", "scope": "DIRECT", "mix": "CONSUMPTION"}
    return CarbonIntensity.model_validate(fields | basis | {"grams_per_kwh": values, "status": "FORECAST"})
