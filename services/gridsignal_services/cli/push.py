"""`gridsignal push FILE`: figures of a market without a public feed, through the ingest door."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx2

from gridsignal.__main__ import FAILED, OK, UNAVAILABLE, USAGE
from gridsignal.cli.arguments import Arguments
from gridsignal_services.cli.api import Failed, exit_code
from gridsignal_services.cli.ingest_door import add_address, answer, ingest_door
from gridsignal_services.ingest.feed import FeedError
from gridsignal_services.ingest.left_out import LeftOut
from gridsignal_services.ingest.pushed_files import Body, bodies, text_of

EXAMPLE = """\
examples:
  gridsignal push prices.csv --zone CN-SD --dataset SHANDONG-DA --currency CNY --timezone Asia/Shanghai \\
      --token-file push.token
  gridsignal push alert.json --token-file push.token

A CSV has one row an interval: price_per_mwh or grams_per_kwh, and starts_at or ends_at (24:00 is 00:00 of the next
day). Its other columns, or options: zone, dataset, currency, product, status, accounting, scope, mix, resolution_s.
A line that can't be read is left out and named, and the rest is pushed (exit code 1); with many of them nothing is.
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
        return max(read, *_pushed(http, found, as_json=args.json))


def _read(args: argparse.Namespace) -> tuple[list[Body], LeftOut]:
    """The bodies of a file, and what of it can't be read."""
    given = {name: value for name in _GIVEN if (value := getattr(args, name)) is not None}
    left_out = LeftOut()
    try:
        return bodies(text_of(args.file.read_bytes()), given, args.timezone, left_out), left_out
    except OSError as unreadable:
        raise Failed(USAGE, f"{args.file}: {unreadable.strerror}") from None
    except FeedError as fault:
        raise Failed(FAILED, f"{args.file}: {fault}") from None


def _pushed(http: httpx2.Client, found: list[Body], *, as_json: bool) -> Iterator[int]:
    """The exit code of each body; what the door refuses does not keep it from the next one."""
    for body in found:
        try:
            told = answer(http.post(f"/v1/signals/{body.signal}", json=body.content))
            line = f"{body.name}: {told['news']}, revision {told['revision']}"
            print(json.dumps({"body": body.name, **told}) if as_json else line)
            for lost in told["left_out"]:
                print(f"gridsignal: {body.name}: left out: {lost['pointer']}: {lost['message']}", file=sys.stderr)
            yield FAILED if told["left_out"] else OK
        except Failed as refused:
            print(f"gridsignal: {body.name}: {refused}", file=sys.stderr)
            yield refused.code
            if refused.code == UNAVAILABLE:
                return
