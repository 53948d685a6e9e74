"""`gridsignal regulation`: send a recorded signal; how well a resource followed one, without any service."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridsignal.__main__ import OK, USAGE
from gridsignal.cli import paths
from gridsignal.cli.arguments import Arguments, give_examples, power_w, price
from gridsignal.cli.tables import bar, printable, show_rows
from gridsignal_services.cli import regulation_replay
from gridsignal_services.cli.api import exit_code
from gridsignal_services.regulation.sample_rows import WrongSample, samples
from gridsignal_services.regulation.scoring import (
    METHODS,
    ClassicWindow,
    Interval,
    NoScore,
    Score,
    credit,
)

EXAMPLE = """\
examples:
  gridsignal regulation score hour.csv --method pjm-classic
  gridsignal regulation score hour.csv --method pjm-2025 --json
  gridsignal regulation score hour.csv --method pjm-2025 --power 100MW --capability-price 20 --mileage-price 2
  gridsignal regulation replay reg-d.csv --order ORDER_ID --base 36MW

What is scored has a line for each 10 seconds of an hour, and for pjm-classic of the 5 minutes after it.
docs/regulation.md says which columns, how a score is computed, and what a recorded signal looks like.
"""
_PLACES = 10
_MOST = 1_000
_PRICED = ("power", "capability_price", "mileage_price", "mileage")


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal regulation",
        description="Send a recorded regulation signal; score how well one was followed, and what that is paid.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    score = actions.add_parser("score", help="the score of an hour, from a file and without any service")
    score.add_argument("file", type=Path, metavar="FILE.csv")
    score.add_argument("--method", required=True, choices=METHODS, help="which score")
    score.add_argument(
        "--power", type=power_w, metavar="POWER", help="the band that was awarded: says what is paid, too"
    )
    score.add_argument("--capability-price", type=price, metavar="PRICE", help="per MW and hour")
    score.add_argument("--mileage-price", type=price, metavar="PRICE", help="per MW and hour (default: 0)")
    score.add_argument("--mileage", type=_ratio, metavar="RATIO", help="the mileage ratio (default: 1)")
    score.add_argument("--json", action="store_true", help="one JSON object")
    regulation_replay.add_to(actions)
    give_examples(actions, EXAMPLE)
    return arguments


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio < _MOST:
        raise argparse.ArgumentTypeError(f"expected a ratio such as 1 or 2.75, got {text!r:.60}")
    return ratio


def run(args: argparse.Namespace) -> int:
    """0 done, 2 usage, or the file can't be read or scored; 1 and 3 as a door answers."""
    if args.action == "replay":
        return exit_code(regulation_replay.run, args)
    given = [name for name in _PRICED if getattr(args, name) is not None]
    if given and (args.method != "pjm-2025" or args.power is None or args.capability_price is None):
        needed = "--method pjm-2025, --power and --capability-price"
        return _say(USAGE, f"--{given[0].replace('_', '-')}: expected {needed} together")
    try:
        with args.file.open(encoding="utf-8-sig", newline="") as lines:
            found = METHODS[args.method](samples(lines))
    except OSError as unreadable:
        return _say(paths.code(unreadable), paths.sentence(unreadable))
    except UnicodeDecodeError as wrong:
        return _say(USAGE, f"{args.file}: expected text in UTF-8, got a byte {wrong.object[wrong.start]:#x}")
    except (WrongSample, NoScore) as wrong:
        return _say(USAGE, f"{args.file}: {wrong}")
    paid = _paid(args, found) if given else []
    if args.json:
        print(json.dumps(_as_json(found, paid)))
    else:
        _show(args.method, found, paid)
    return OK


def _say(code: int, message: str) -> int:
    print(f"gridsignal: {printable(message)}", file=sys.stderr)
    return code


def _paid(args: argparse.Namespace, found: Score) -> list[float]:
    ratio = 1.0 if args.mileage is None else args.mileage
    prices = float(args.capability_price), float(args.mileage_price or 0), ratio
    return [credit(args.power / 1e6, each.precision, *prices) for each in found.windows if isinstance(each, Interval)]


def _as_json(found: Score, paid: list[float]) -> dict[str, Any]:
    windows = [_window_as_json(window) for window in found.windows]
    said = {
        "correlation": _rounded(found.correlation),
        "delay": _rounded(found.delay),
        "precision": _rounded(found.precision),
        "composite": _rounded(found.composite),
        "windows": windows,
    }
    if paid:
        for window, amount in zip(windows, paid, strict=True):
            window["credit"] = round(amount, 4)
        said["credit"] = round(sum(paid), 4)
    return said


def _window_as_json(window: ClassicWindow | Interval) -> dict[str, Any]:
    said = {name: round(value, _PLACES) for name, value in asdict(window).items()}
    if isinstance(window, Interval):
        said["forfeited"] = window.forfeited
    return said


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _PLACES)


def _show(method: str, found: Score, paid: list[float]) -> None:
    parts = [
        (name, "-" if value is None else f"{value:.4f}", "" if value is None else bar(Decimal(value), Decimal(1)))
        for name, value in (
            ("correlation", found.correlation),
            ("delay", found.delay),
            ("precision", found.precision),
            ("composite", found.composite),
        )
    ]
    show_rows(f"{method}, {len(found.windows)} windows of 5 minutes", ("part", "score", ""), parts)
    intervals = [each for each in found.windows if isinstance(each, Interval)]
    rows = [
        (
            f"{each.starts_s // 60:02}:{each.starts_s % 60:02}",
            f"{each.precision:.4f}",
            "forfeited" if each.forfeited else "",
            f"{paid[place]:,.2f}" if paid else "-",
            bar(Decimal(each.precision), Decimal(1)),
        )
        for place, each in enumerate(intervals)
    ]
    if rows:
        show_rows("5 minutes each", ("from", "score", "", "paid", ""), rows)
    if paid:
        print(f"paid       {sum(paid):,.2f}")
