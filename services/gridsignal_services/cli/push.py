"""`gridsignal push FILE`: figures of a market without a public feed, through the ingest door."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx2

from gridsignal.__main__ import FAILED, OK, UNAVAILABLE
from gridsignal.cli import paths
from gridsignal.cli.arguments import Arguments, span
from gridsignal_schemas.strict_json import MAX_BODY
from gridsignal_services.cli.api import Failed, exit_code
from gridsignal_services.cli.ingest_door import add_address, answer, ingest_door
from gridsignal_services.ingest.feed import FeedError
from gridsignal_services.ingest.left_out import LeftOutRows
from gridsignal_services.ingest.pushed_files import bodies, text_of
from gridsignal_services.ingest.pushed_json import Body, in_days
from gridsignal_services.ingest.transport import retry_after_s

EXAMPLE = """\
examples:
  gridsignal push prices.csv --zone CN-SD --dataset SHANDONG-DA --currency CNY --timezone Asia/Shanghai \\
      --token-file push.token
  gridsignal push alert.json --token-file push.token

A CSV has one row an interval: price_per_mwh or grams_per_kwh, and starts_at or ends_at (24:00 is 00:00 of the next
day). Its other columns, or options: zone, dataset, currency, product, status, accounting, scope, mix, resolution_s.
A line that can't be read is left out and named, and the rest is pushed (exit code 1); with many of them nothing is.
A series that is too long for the door is pushed day by day, and a door that is busy is waited for as it asks.
JSON is one body of POST /v1/signals/prices, /carbon or /alerts, or a list of them. The token needs signal:write:
`gridsignal token mint --operator NAME --push`. The same file again changes nothing.
"""
_GIVEN = ("zone", "dataset", "currency", "product", "status", "accounting", "scope", "mix", "resolution_s")


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal push",
        description="Push prices, carbon or alerts from a file: the checks are those of every feed.",
        epilog=EXAMPLE,
    )
    arguments.add_argument("file", type=Path, metavar="FILE", help="CSV or JSON")
    for name in _GIVEN:
        arguments.add_argument(f"--{name.replace('_', '-')}", help=f"{name} of every row that has none")
    arguments.add_argument("--timezone", type=_timezone, metavar="NAME", help="of times without an offset")
    arguments.add_argument(
        "--wait",
        type=span,
        default="10m",
        metavar="SPAN",
        help="how long to wait in all for a door that is busy (%(default)s)",
    )
    arguments.add_argument("--dry-run", action="store_true", help="show what would be pushed, one JSON body a line")
    arguments.add_argument("--json", action="store_true", help="one JSON object a line")
    add_address(arguments)
    return arguments


def _timezone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise argparse.ArgumentTypeError(f"expected a time zone such as Asia/Shanghai, got {name!r:.60}") from None


def run(args: argparse.Namespace) -> int:
    """0 all of it is published or was known, 1 something was left out or refused, 2 usage, 3 the door is away."""
    return exit_code(_push, args)


def _push(args: argparse.Namespace) -> int:
    found, left_out = _read(args)
    for fault in left_out:
        print(f"gridsignal: {args.file}: left out: {fault}", file=sys.stderr)
    read = FAILED if left_out else OK
    if args.dry_run:
        for body in found:
            print(json.dumps({"signal": body.signal, "body": body.content}))
        return read
    with ingest_door(args) as http:
        return max(read, *_pushed(_Pace(http, args.wait), found, as_json=args.json))


def _read(args: argparse.Namespace) -> tuple[list[Body], LeftOutRows]:
    """The bodies of a file, and what of it can't be read."""
    given = {name: value for name in _GIVEN if (value := getattr(args, name)) is not None}
    left_out = LeftOutRows()
    try:
        return bodies(text_of(args.file.read_bytes()), given, args.timezone, left_out), left_out
    except OSError as unreadable:
        raise Failed(paths.code(unreadable), paths.sentence(unreadable)) from None
    except FeedError as fault:
        raise Failed(FAILED, f"{args.file}: {fault}; nothing was pushed") from None


class _TooLong(Failed):
    """A body is longer than the door takes."""


class _Pace:
    """Posts bodies as fast as the door takes them.

    Bounded: `longest` of waiting in all. When over: Failed. Conflates: nothing; a body that is sent again is known.
    """

    def __init__(self, http: httpx2.Client, longest: timedelta) -> None:
        self._http, self._longest_s, self._left_s = http, longest.total_seconds(), longest.total_seconds()

    def post(self, body: Body, behind: int) -> dict[str, Any]:
        """The door's answer to a body, once it has time for it; `behind` more are waiting. Raises Failed, _TooLong."""
        text = json.dumps(body.content).encode()
        if len(text) > MAX_BODY:  # the door would hang up while it is sent
            raise _TooLong(FAILED, f"expected a body of at most {MAX_BODY} bytes, got {len(text)}")
        while True:
            headers = {"Content-Type": "application/json"}
            response = self._http.post(f"/v1/signals/{body.signal}", content=text, headers=headers)
            asked_s = retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
            if response.status_code == 429 or (response.status_code == 503 and asked_s is not None):
                self._wait(max(1.0, asked_s or 0.0), behind)
            else:
                return _read_answer(response)

    def _wait(self, wait_s: float, behind: int) -> None:
        if wait_s > self._left_s:
            said = f"the door is busy for another {wait_s:g} s, and --wait allows {self._longest_s:g} s in all"
            raise Failed(UNAVAILABLE, f"{said}; push the file again later, nothing is published twice")
        print(f"gridsignal: the door is busy: going on in {wait_s:g} s, {behind + 1} to push", file=sys.stderr)
        self._left_s -= wait_s
        time.sleep(wait_s)


def _read_answer(response: httpx2.Response) -> dict[str, Any]:
    try:
        answered: dict[str, Any] = answer(response)
    except Failed as refused:
        # or something in front of the door takes no body of this length
        if response.status_code == 413 or "TOO_MANY_VALUES" in refused.faults:
            raise _TooLong(FAILED, str(refused)) from None
        raise
    return answered


def _pushed(pace: _Pace, found: list[Body], *, as_json: bool) -> Iterator[int]:
    """The exit code of each body; what the door refuses does not keep it from the next one."""
    waiting = deque(found)
    while waiting:
        body = waiting.popleft()
        try:
            code = _shown(body, pace.post(body, len(waiting)), as_json=as_json)
        except _TooLong as refused:
            if len(days := in_days(body)) > 1:
                waiting.extendleft(reversed(days))
                continue
            code = FAILED
            print(f"gridsignal: {body.name}: {refused}: split it into several bodies", file=sys.stderr)
        except Failed as refused:
            code = refused.code
            print(f"gridsignal: {body.name}: {refused}", file=sys.stderr)
        yield code
        if code == UNAVAILABLE:
            return


def _shown(body: Body, answer: dict[str, Any], *, as_json: bool) -> int:
    line = f"{body.name}: {answer['news']}, revision {answer['revision']}"
    print(json.dumps({"body": body.name, **answer}) if as_json else line)
    for lost in answer["left_out"]:
        print(f"gridsignal: {body.name}: left out: {lost['pointer']}: {lost['message']}", file=sys.stderr)
    return FAILED if answer["left_out"] else OK
