"""`gridsignal regulation replay`: a recorded signal, sent to the site of an order cycle by cycle."""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

from gridsignal.__main__ import OK, UNAVAILABLE, USAGE
from gridsignal.cli import paths
from gridsignal.cli.arguments import Arguments, power_w
from gridsignal.cli.grid_time import grid_now
from gridsignal.cli.tables import printable
from gridsignal_schemas.values import rfc3339
from gridsignal_services.cli.api import Failed, add_options, answer, below, door, show_json
from gridsignal_services.regulation.sample_rows import WrongSample
from gridsignal_services.regulation.signal_file import SignalFile, signal_of

WORDS = {"": "--order", "base_w": "--base", "setpoints": "FILE.csv", "cycle_s": "FILE.csv"}
"""What says each field of a batch."""
_LOOK_S = 0.5
_START = datetime(1970, 1, 1, tzinfo=UTC)


def add_to(actions: argparse._SubParsersAction[Arguments]) -> None:
    """Adds the action to the command."""
    replay = actions.add_parser("replay", help="send a recorded signal to the site of an order, cycle by cycle")
    replay.add_argument("file", type=Path, metavar="FILE.csv")
    replay.add_argument("--order", required=True, metavar="ORDER_ID", help="an order of yours that its site holds")
    replay.add_argument(
        "--base", required=True, type=power_w, metavar="POWER", help="the power that is regulated about"
    )
    add_options(replay)


def run(args: argparse.Namespace) -> int:
    """0 all was sent, 2 usage or a file that can't be read; 3: some cycles could not be sent. Raises Failed."""
    signal, path = _signal(args.file), f"{below('regulation', args.order)}/setpoints"
    with door(args) as http:
        sent = _replayed(http, path, signal, args.base)
    if args.json:
        show_json({"cycles": len(signal.levels_ppm), "sent": sent})
    else:
        print(f"sent {sent} of {len(signal.levels_ppm)} setpoints, one every {signal.cycle_s} s")
    return OK if sent == len(signal.levels_ppm) else UNAVAILABLE


def _signal(file: Path) -> SignalFile:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return signal_of(lines)
    except OSError as unreadable:
        raise Failed(paths.code(unreadable), paths.sentence(unreadable)) from None
    except UnicodeDecodeError as wrong:
        got = f"{wrong.object[wrong.start]:#x}"
        raise Failed(USAGE, f"{printable(str(file))}: expected text in UTF-8, got a byte {got}") from None
    except WrongSample as wrong:
        raise Failed(USAGE, f"{printable(str(file))}: {wrong}") from None


def _replayed(http: httpx2.Client, path: str, signal: SignalFile, base_w: int) -> int:
    """How many were sent. A cycle that can't be sent is over before it could be sent again: the next one follows."""
    cycle, sent = timedelta(seconds=signal.cycle_s), 0
    first = (grid_now() - _START) // cycle + 1  # numbers of the clock: who begins anew goes on, and does not begin at 0
    for number, level_ppm in enumerate(signal.levels_ppm, first):
        target_at = _START + number * cycle
        _sleep_until(target_at)
        setpoint = {"cycle_no": number, "level_ppm": level_ppm, "base_w": base_w, "target_at": rfc3339(target_at)}
        try:
            answer(http.post(path, json={"cycle_s": signal.cycle_s, "setpoints": [setpoint]}), WORDS)
            sent += 1
        except httpx2.TransportError:
            if not sent:
                raise
        except Failed as failed:
            if failed.code != UNAVAILABLE:
                raise
    return sent


def _sleep_until(when: datetime) -> None:
    while (left_s := (when - grid_now()).total_seconds()) > 0:
        time.sleep(min(left_s, _LOOK_S))
