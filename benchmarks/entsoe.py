"""How long a price document of 100,000 points takes to parse, beside entsoe-py's parser on the same bytes."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from benchmarks.machine import SERVER, described, pin
from gridsignal_schemas.messages import SpotPrice
from gridsignal_services.ingest.feed import Ask, FeedAnswer, read
from gridsignal_services.ingest.providers import PROVIDERS
from gridsignal_services.ingest.schedule import day_starts_at

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FIRST_DAY = date(2023, 10, 1)
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Publication_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3">'
    "<mRID>1</mRID><revisionNumber>1</revisionNumber><type>A44</type>"
)
_SERIES = (
    "<TimeSeries><mRID>{n}</mRID><auction.type>A01</auction.type><businessType>A62</businessType>"
    '<in_Domain.mRID codingScheme="A01">10YBE----------2</in_Domain.mRID>'
    '<out_Domain.mRID codingScheme="A01">10YBE----------2</out_Domain.mRID>'
    "<contract_MarketAgreement.type>A01</contract_MarketAgreement.type><currency_Unit.name>EUR</currency_Unit.name>"
    "<price_Measure_Unit.name>MWH</price_Measure_Unit.name><curveType>A03</curveType>"
    "<Period><timeInterval><start>{start}</start><end>{end}</end></timeInterval><resolution>PT15M</resolution>"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--points", type=int, default=100_000, help="at least so many, in whole days (100000)")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, alternating (5)")


def document(points: int) -> bytes:
    """Whole market days of Belgian quarter hours, none omitted: what a peer that does not fill reads alike."""
    parts, day, written = [_HEAD], FIRST_DAY, 0
    while written < points:
        start, end = day_starts_at(day), day_starts_at(day + timedelta(days=1))
        parts.append(_SERIES.format(n=day.toordinal(), start=f"{start:%Y-%m-%dT%H:%MZ}", end=f"{end:%Y-%m-%dT%H:%MZ}"))
        for position in range(1, (end - start) // timedelta(minutes=15) + 1):
            price = Decimal((written * 7919) % 60_000 - 5000) / 100
            parts.append(f"<Point><position>{position}</position><price.amount>{price}</price.amount></Point>")
            written += 1
        parts.append("</Period></TimeSeries>")
        day += timedelta(days=1)
    return "".join([*parts, "</Publication_MarketDocument>"]).encode()


def run(args: argparse.Namespace) -> int:
    body = document(args.points)
    text = body.decode()
    machine = described()
    pin(SERVER)
    peer = _peer()
    ours, theirs = [], []
    for _ in range(args.repeat):
        ours.append(_timed(lambda: _read(body)))
        if peer is not None:
            theirs.append(_timed(lambda: peer(text)))
    points = sum(len(record.prices_per_mwh) for record in _read(body))
    found = {
        "machine": machine,
        "points": points,
        "bytes": len(body),
        "gridsignal_s": _summary(ours),
        "entsoe_py_s": _summary(theirs),
        "same_prices": peer is not None and _same(body, peer(text)),
    }
    print(json.dumps(found) if args.json else _table(found))
    return 0


def _peer() -> Callable[[str], Any] | None:
    try:
        from entsoe.parsers import parse_prices
    except ModuleNotFoundError:
        return None
    parse: Callable[[str], Any] = parse_prices
    return parse


def _read(body: bytes) -> list[SpotPrice]:
    records = read(PROVIDERS["entsoe"], FeedAnswer(body), Ask(zone="BE", signal=None, now=NOW))
    return [record for record in records if isinstance(record, SpotPrice)]


def _timed(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _summary(runs: list[float]) -> dict[str, float] | None:
    return {"min": min(runs), "median": median(runs), "max": max(runs)} if runs else None


def _same(body: bytes, parsed: Any) -> bool:
    """Whether both read the same price for every instant."""
    mine = {start: value for record in _read(body) for start, _, value in record.intervals()}
    peers = {stamp.to_pydatetime().astimezone(UTC): Decimal(str(value)) for stamp, value in parsed["15min"].items()}
    return mine == peers


def _table(found: dict[str, Any]) -> str:
    lines = [
        found["machine"],
        f"{found['points']} points, {found['bytes'] / 1e6:.1f} MB, one core; seconds of CPU time",
    ]
    lines.append(f"{'':<12}{'min':>8}{'median':>8}{'max':>8}")
    for name in ("gridsignal", "entsoe_py"):
        row = found[f"{name}_s"]
        figures = "".join(f"{row[key]:8.3f}" for key in ("min", "median", "max")) if row else "  not installed"
        lines.append(f"{name:<12}{figures}")
    if found["entsoe_py_s"]:
        ratio = found["entsoe_py_s"]["median"] / found["gridsignal_s"]["median"]
        lines.append(f"{ratio:.1f} times as fast; same price for every instant: {found['same_prices']}")
    else:
        lines.append("for the peer: pip install '.[bench]'")
    return "\n".join(lines)
