"""`gridsignal baseline`: what a site draws if nobody asks, as it declares it or as a method computes it."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gridsignal.__main__ import FAILED, OK, USAGE
from gridsignal.cli import baseline as declaring
from gridsignal.cli import paths
from gridsignal.cli.arguments import Arguments, give_examples, span
from gridsignal.cli.connection import add_api, add_options, archive, exit_code
from gridsignal.cli.tables import printable
from gridsignal_schemas.messages import MeterReading
from gridsignal_services.cli.baseline_shown import as_json, comparison_as_json, show, show_comparison
from gridsignal_services.settlement.baseline_said import Event, NoBaseline, Site
from gridsignal_services.settlement.baselines import baseline
from gridsignal_services.settlement.days import Calendar, NoSuchTime, WrongPlace, public_holidays
from gridsignal_services.settlement.energy import Gap
from gridsignal_services.settlement.history import History
from gridsignal_services.settlement.methods import METHODS, Method, WrongParameter, changed
from gridsignal_services.settlement.quiet_days import compared, quiet_days
from gridsignal_services.settlement.reading_rows import WrongRow, readings

EXAMPLE = """\
examples:
  gridsignal baseline declare --site fra-1 --power 36MW --days 7
  gridsignal baseline show --site fra-1
  gridsignal baseline fixed REQUEST_ID
  gridsignal baseline show --site fra-1 --from 2030-05-12 --to 2030-05-13 --csv > baseline.csv
  gridsignal baseline study readings.csv --method uk-bl01 --day 2024-05-14 --event 17:00-18:00 --timezone Europe/London
  gridsignal baseline study readings.csv --method caiso-10-of-10 --param clip=0.3 --day 2024-05-14 --event 17:00-18:30 \
      --timezone Europe/Berlin --holidays DE --event-days 2024-05-07,2024-05-08 --json
  gridsignal baseline compute --site fra-1 --method pjm-3-plus-2 --day 2024-05-14 --event 12:00-17:00 \
      --timezone Europe/Berlin
  gridsignal baseline compare readings.csv --day 2024-05-14 --event 17:00-18:00 --timezone Europe/Berlin
  gridsignal baseline compare --site fra-1 --day 2024-05-14 --event 17:00-18:00 --timezone Europe/Berlin --holidays DE

A CSV of readings has the columns starts_at, ends_at and import_w, and may have export_w, register_wh, quality, seq and
meter. docs/settlement.md says what each method and each of its parameters means.
"""
_EVENT = re.compile(r"([0-9]{2}:[0-9]{2})-([0-9]{2}:[0-9]{2})")
_PARAMETER = re.compile(r"([a-z_]+)=(.+)")
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_ASKED_BACK = timedelta(days=120)
"""How far back the door is asked: 60 days for a method on the earliest of 30 quiet days and some."""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal baseline",
        description="Declare a flat baseline, to try things with, see what is declared, and compute what a method makes"
        " of readings. A program declares its own curve with the SDK.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    declaring.add_actions(actions)
    study = actions.add_parser("study", help="what a method makes of a file of readings, without any service")
    study.add_argument("file", type=Path, metavar="READINGS.csv")
    study.add_argument("--json", action="store_true", help="one JSON object")
    compute = actions.add_parser("compute", help="the same of a site's readings, which the dispatch door is asked for")
    add_options(compute, site=True, address=add_api)
    for one in (study, compute):
        one.add_argument("--method", required=True, choices=METHODS, metavar="ROW", help=", ".join(METHODS))
        said = "in place of what the method says, such as clip=0.3; may be said again"
        one.add_argument("--param", type=_parameter, action="append", default=[], metavar="NAME=VALUE", help=said)
    compare = actions.add_parser("compare", help="every method side by side, and its error on the last quiet days")
    compare.add_argument("file", type=Path, nargs="?", metavar="READINGS.csv", help="instead of a site's readings")
    add_options(compare, site=True, address=add_api)
    for each in (study, compute, compare):
        _add_question(each)
    give_examples(actions, EXAMPLE)
    return arguments


def run(args: argparse.Namespace) -> int:
    """0 done, 1 the method gives no baseline, 2 usage, a file that is none of readings included."""
    if args.action not in _COMPUTING:
        return declaring.run(args)
    try:
        return _COMPUTING[args.action](args)
    except _Wrong as wrong:
        print(f"gridsignal: {printable(str(wrong))}", file=sys.stderr)
        return wrong.code


class _Wrong(Exception):
    """The command can't go on: its exit code, and one line about why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def _add_question(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("--day", required=True, type=_day, metavar="DAY", help="the event's day, such as 2024-05-14")
    event = "its hours by the local clock; 22:00-02:00 ends on the next day"
    arguments.add_argument("--event", required=True, type=_hours, metavar="HH:MM-HH:MM", help=event)
    zone = "the zone's, such as Europe/Berlin"
    arguments.add_argument("--timezone", required=True, type=_timezone, metavar="NAME", help=zone)
    holidays = "public holidays of a country or a part of one, such as GB-ENG (default: none)"
    arguments.add_argument("--holidays", metavar="CC", help=holidays)
    asked = "days on which the site was asked before, separated by commas"
    arguments.add_argument("--event-days", type=_days, default=frozenset(), metavar="DAY,DAY", help=asked)
    pieces = "length of the intervals (default: the commonest of the readings)"
    arguments.add_argument("--resolution", type=span, metavar="SPAN", help=pieces)


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        day = None
    if day is None or not 1901 < day.year < 2199:
        raise argparse.ArgumentTypeError(f"expected a day such as 2024-05-14, got {text!r:.60}")
    return day


def _days(text: str) -> frozenset[date]:
    return frozenset(_day(each.strip()) for each in text.split(","))


@dataclass(frozen=True, slots=True)
class _Hours:
    starts: time
    ends: time
    next_day: bool


def _hours(text: str) -> _Hours:
    try:
        since, until = _EVENT.fullmatch(text).groups()  # type: ignore[union-attr]  # no match is no event either
        starts, ends = time.fromisoformat(since), time(0) if until == "24:00" else time.fromisoformat(until)
    except (AttributeError, ValueError):
        raise argparse.ArgumentTypeError(f"expected hours such as 17:00-18:30, got {text!r:.60}") from None
    return _Hours(starts, ends, next_day=ends <= starts)


def _timezone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise argparse.ArgumentTypeError(f"expected a time zone such as Europe/Berlin, got {name!r:.60}") from None


def _parameter(text: str) -> tuple[str, object]:
    if (match := _PARAMETER.fullmatch(text)) is None:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE such as clip=0.3, got {text!r:.60}")
    name, value = match.groups()
    return name, _value(value)


def _value(text: str) -> object:
    """A whole number, true or false, a list of whole numbers, or a text."""
    if re.fullmatch(r"-?[0-9]{1,9}(,-?[0-9]{1,9})+", text):
        return [int(each) for each in text.split(",")]
    if re.fullmatch(r"-?[0-9]{1,9}", text):
        return int(text)
    return {"true": True, "false": False}.get(text, text)


def _one(args: argparse.Namespace, history: History) -> int:
    """What one method says."""
    site, event = _site(args, history), _event(args)
    method = _method(args.method, args.param)
    try:
        found = baseline(method, site, event, _resolution(args, history))
    except NoBaseline as none:
        raise _Wrong(FAILED, str(none)) from None
    metered = [history.mean_w(*slot) for slot in found.slots]
    metered_w = [None if isinstance(power_w, Gap) else power_w for power_w in metered]
    if args.json:
        print(json.dumps(as_json(method, event, found, metered_w)))
    else:
        show(method, event, found, metered_w, args.timezone)
    return OK


def _all(args: argparse.Namespace, history: History) -> int:
    """What every method says that reads history."""
    site, event = _site(args, history), _event(args)
    days, resolution = quiet_days(site, event), _resolution(args, history)
    found = [compared(method, site, event, days, resolution) for method in METHODS.values()]
    if args.json:
        for each in found:
            print(json.dumps(comparison_as_json(each, event)))
    else:
        show_comparison(event, found, len(days))
    return OK


def _resolution(args: argparse.Namespace, history: History) -> timedelta:
    length: timedelta | None = args.resolution or history.resolution
    assert length is not None, "a history without readings goes no further"
    return length


def _study(args: argparse.Namespace) -> int:
    return _one(args, _history(args))


def _compute(args: argparse.Namespace) -> int:
    return exit_code(_from_door(args, _one), args)


def _compare(args: argparse.Namespace) -> int:
    return exit_code(_from_door(args, _all), args) if args.file is None else _all(args, _history(args))


async def _from_door(args: argparse.Namespace, then: Callable[[argparse.Namespace, History], int]) -> int:
    """Goes on with a site's readings, asked of the dispatch door week by week."""
    door = archive(args)
    until = Calendar(args.timezone).begins(args.day + 2 * _DAY)
    since = until - _ASKED_BACK
    found: dict[tuple[object, ...], MeterReading] = {}  # one across two weeks comes with both
    while since < until:
        ends_at = min(since + _WEEK, until)
        for said in await door.readings(args.site, since, ends_at):
            reading = MeterReading.model_validate(said)
            found[reading.meter, reading.point, reading.starts_at, reading.ends_at, reading.seq] = reading
        since = ends_at
    history = History.by_days(found.values(), Calendar(args.timezone))
    if history.resolution is None:
        raise _Wrong(FAILED, f"{args.site}: expected readings in the {_ASKED_BACK.days} days before, got none")
    return then(args, history)


def _history(args: argparse.Namespace) -> History:
    file: Path = args.file
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            history = History.by_days(readings(lines), Calendar(args.timezone))
    except OSError as unreadable:
        raise _Wrong(paths.code(unreadable), paths.sentence(unreadable)) from None
    except UnicodeDecodeError as wrong:
        raise _Wrong(USAGE, f"{file}: expected text in UTF-8, got a byte {wrong.object[wrong.start]:#x}") from None
    except WrongRow as wrong:
        raise _Wrong(USAGE, f"{file}: {wrong}") from None
    if history.resolution is None:
        raise _Wrong(USAGE, f"{file}: expected readings below the head line, got none")
    return history


def _site(args: argparse.Namespace, history: History) -> Site:
    holidays: frozenset[date] = frozenset()
    if args.holidays is not None:
        try:
            holidays = public_holidays(args.holidays, args.day - 800 * _DAY, args.day + _DAY)
        except WrongPlace as wrong:
            raise _Wrong(USAGE, f"--holidays: {wrong}") from None
    return Site(history, Calendar(args.timezone, holidays), args.event_days)


def _event(args: argparse.Namespace) -> Event:
    calendar = Calendar(args.timezone)
    try:
        starts_at = calendar.at(args.day, args.event.starts)
        ends_at = calendar.at(args.day + _DAY if args.event.next_day else args.day, args.event.ends)
    except NoSuchTime as skipped:
        raise _Wrong(USAGE, f"--event: expected hours that the day has, and {skipped} in {args.timezone}") from None
    return Event(args.day, starts_at, ends_at)


def _method(name: str, said: list[tuple[str, object]]) -> Method:
    method = METHODS[name]
    values = {name: _as_written(method, name, value) for name, value in said}
    try:
        return changed(method, values)
    except WrongParameter as wrong:
        raise _Wrong(USAGE, f"--param: {wrong}") from None


def _as_written(method: Method, name: str, value: object) -> object:
    """A share is written as a text, so that 1 is not taken for a whole number."""
    return str(value) if name in ("clip", "low_day_share") and isinstance(value, int) else value


_COMPUTING: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "study": _study,
    "compute": _compute,
    "compare": _compare,
}
