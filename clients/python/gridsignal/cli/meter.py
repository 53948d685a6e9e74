"""`gridsignal meter`: reports what a meter showed, by hand; a program reports with the SDK."""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

import gridsignal
from gridsignal import EnergyCertificate
from gridsignal.__main__ import FAILED, OK
from gridsignal.answers import number_of
from gridsignal.cli.arguments import (
    CERTIFICATE,
    Arguments,
    certificate,
    certificates,
    give_examples,
    identifier,
    moment,
    power_w,
    span,
    whole,
)
from gridsignal.cli.connection import add_doors, add_options, archive, exit_code, open_grid, tell
from gridsignal.cli.grid_time import grid_now
from gridsignal.cli.tables import period, printable, when
from gridsignal.cli.words import refusal_in
from gridsignal.history import Archive
from gridsignal_schemas.values import EXACT_MAX

EXAMPLE = """\
examples:
  gridsignal meter report --site fra-1 --import 24MW
  gridsignal meter report --site fra-1 --import 23.5MW --seq 3000000
  gridsignal meter report --site fra-1 --from -2h --import 24MW --certificate gc-7=6MWh,WIND
  gridsignal meter report --site muc-1 --from 2024-05-12T18:00+02:00 --for 15m --export 2MW --meter battery

Of two readings of the same time the one with the higher --seq counts, of two with the same the first: a correction
needs a higher one. What is known already is not sent again.
"""
WORDS = {
    "meter": "--meter",
    "starts_at": "--from",
    "ends_at": "--for",
    "import_w": "--import",
    "export_w": "--export",
    "seq": "--seq",
    "site": "--site",
    "certificates": "--certificate",
}
"""What says each field of a reading that is typed."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAID = ("import_w", "export_w", "quality")
_SOON_S, _LOOK_S = 5.0, 0.1
"""How long a command waits until a reading counts, and how often it asks."""
_BECAME = {
    "KEPT": "kept, {received}",
    "CORRECTED": "corrected, {received}",
    "KNOWN": "already known",
    "UNKNOWN": "{received}; whether it counts could not be asked",
    "NOT_READ_YET": "{received}; the dispatch door has not read it yet",
}
"""What became of a reading: a word for programs, and what people are told."""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal meter",
        description="Report the mean power of one interval at the site's connection point, and see whether it counts.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    report = actions.add_parser("report", help="one interval's mean power")
    report.add_argument(
        "--from", dest="starts_at", type=moment, metavar="TIME", help="its start (default: of the last whole one)"
    )
    report.add_argument("--for", dest="length", type=span, default=span("15m"), metavar="SPAN", help="its length (15m)")
    way = report.add_mutually_exclusive_group(required=True)
    way.add_argument("--import", dest="import_w", type=power_w, metavar="POWER", help="taken from the grid")
    way.add_argument("--export", dest="export_w", type=power_w, metavar="POWER", help="given to the grid")
    report.add_argument("--meter", type=identifier, default="main", metavar="NAME", help="the meter (%(default)s)")
    number = "of two readings of the same time the higher counts (default: the interval's number since 1970)"
    report.add_argument("--seq", type=whole(0, EXACT_MAX), metavar="N", help=number)
    named = "an energy certificate cancelled for it, such as gc-7=250kWh,WIND; again for each further one"
    report.add_argument("--certificate", type=certificate, action="append", metavar=CERTIFICATE, help=named)
    add_options(report, site=True, address=add_doors)
    give_examples(actions, EXAMPLE)
    return arguments


def _last(length: timedelta, now: datetime) -> datetime:
    """The start of the last interval of this length that is over, counted from 1970 on."""
    return now - (now - _EPOCH) % length - length


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_report(args), args, WORDS)


async def _report(args: argparse.Namespace) -> int:
    reading = _reading(args)
    async with open_grid(args, for_site=True) as grid:
        door = archive(args)
        known = await _beside(door, args.site, reading)
        if (same := _same(known or [], reading)) is not None:
            return _tell(args, "KNOWN", reading, None, same)
        if known and (contradicting := _counting_before(known, reading)) is not None:
            return _contradicted(reading, contradicting)
        receipt = await grid.meter(**reading)
        counted = None if known is None else await _counted(door, args.site, reading)
    if counted is None:
        return _tell(args, "UNKNOWN", reading, receipt, None)
    if not _is_read(counted, reading):
        return _tell(args, "NOT_READ_YET", reading, receipt, None)
    if (contradicting := _counting_before(counted, reading)) is not None:
        return _contradicted(reading, contradicting)
    return _tell(args, "CORRECTED" if known else "KEPT", reading, receipt, _same(counted, reading))


def _reading(args: argparse.Namespace) -> dict[str, Any]:
    starts_at = args.starts_at or _last(args.length, grid_now())
    ends_at = starts_at + args.length
    return {
        "meter": args.meter,
        "point": "CONNECTION",
        "starts_at": starts_at,
        "ends_at": ends_at,
        "import_w": args.import_w or 0,
        "export_w": args.export_w or 0,
        "quality": "OK",
        "seq": number_of(starts_at, ends_at) if args.seq is None else args.seq,
        "certificates": certificates(args.certificate),
    }


async def _beside(door: Archive, site: str, reading: dict[str, Any]) -> list[dict[str, Any]] | None:
    """What counts of this meter and time by now; None where that can't be asked."""
    try:
        found = await door.readings(site, reading["starts_at"], reading["ends_at"])
    except (gridsignal.ConnectionFailed, gridsignal.NotPermitted) as error:
        tell(refusal_in(error, WORDS) if isinstance(error, gridsignal.Refused) else str(error))
        return None
    return [each for each in found if (each["meter"], each["point"]) == (reading["meter"], reading["point"])]


def _same(known: list[dict[str, Any]], reading: dict[str, Any]) -> dict[str, Any] | None:
    """This very reading among them."""
    return next((each for each in known if _place(each) == _place(reading) and _says(each) == _says(reading)), None)


def _counting_before(known: list[dict[str, Any]], reading: dict[str, Any]) -> dict[str, Any] | None:
    """The one among them that counts in place of this one, for at least a part of its time."""
    others = [each for each in known if (_place(each), _says(each)) != (_place(reading), _says(reading))]
    before = [each for each in others if each["seq"] >= reading["seq"]]
    return max(before, key=lambda each: each["seq"], default=None)


def _place(reading: dict[str, Any]) -> tuple[datetime, datetime]:
    starts_at, ends_at = (reading[name] for name in ("starts_at", "ends_at"))
    return tuple(datetime.fromisoformat(at) if isinstance(at, str) else at for at in (starts_at, ends_at))  # type: ignore[return-value]  # two of them


def _says(reading: dict[str, Any]) -> tuple[Any, ...]:
    named = TypeAdapter(list[EnergyCertificate]).validate_python(reading.get("certificates") or [])
    return *(reading[name] for name in _SAID), reading["seq"], tuple(named)


async def _counted(door: Archive, site: str, reading: dict[str, Any]) -> list[dict[str, Any]] | None:
    """What counts once the door has read this reading, or after a while; None where that can't be asked."""
    for _ in range(int(_SOON_S / _LOOK_S)):
        known = await _beside(door, site, reading)
        if known is None or _is_read(known, reading):
            return known
        await asyncio.sleep(_LOOK_S)
    return known


def _is_read(counted: list[dict[str, Any]], reading: dict[str, Any]) -> bool:
    """Whether the door has read this reading, or another in its place."""
    return any(each["seq"] >= reading["seq"] for each in counted)


def _contradicted(reading: dict[str, Any], other: dict[str, Any]) -> int:
    starts_at, ends_at = period(*_place(other), other["zone"])
    counts = f"the reading of {other['meter']} from {starts_at} to {ends_at} that counts says {_power(other)}"
    higher = f"--seq: expected {other['seq'] + 1} or more in order to correct it, got {reading['seq']}"
    tell(f"{counts} (seq {other['seq']}); {higher}")
    return FAILED


def _tell(
    args: argparse.Namespace,
    became: str,
    reading: dict[str, Any],
    receipt: gridsignal.Receipt | None,
    counts: dict[str, Any] | None,
) -> int:
    zone = counts["zone"] if counts else ""
    if args.json:
        answer = receipt.model_dump(mode="json", exclude_none=True) if receipt else {}
        print(json.dumps(answer | {"state": became, "seq": reading["seq"]}))
    else:
        starts_at, ends_at = period(*_place(reading), zone)
        received = f"received at {when(receipt.received_at, zone, seconds=True)}" if receipt else ""
        what = f"{args.meter} from {starts_at} to {ends_at}: {_power(reading)}, seq {reading['seq']}"
        print(printable(f"reading of {what}: {_BECAME[became].format(received=received)}"))
    return OK


def _power(reading: dict[str, Any]) -> str:
    way = "export" if reading["export_w"] else "import"
    return f"{way} {reading[f'{way}_w'] / gridsignal.MW:g} MW"
