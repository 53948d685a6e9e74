"""`gridsignal demo`: one real day in the terminal."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from gridsignal.__main__ import FAILED, OK, USAGE
from gridsignal.cli.arguments import Arguments, whole
from gridsignal_services.access import Role
from gridsignal_services.cli.failing import REPORTED, failed
from gridsignal_services.demo.narration import Narrator
from gridsignal_services.demo.numbers import as_json
from gridsignal_services.demo.report import report
from gridsignal_services.demo.run import Result, SpeedRefused, Watcher, play_day
from gridsignal_services.demo.story import DESK, GRID_OPERATOR, STORIES
from gridsignal_services.demo.summary import summary
from gridsignal_services.embedded import Stack
from gridsignal_services.settings import ServerSettings
from gridsignal_services.telemetry import configure_logging

DAYS = sorted(STORIES)
EXAMPLE = """examples:
  gridsignal demo --speed 900              # a sunny Sunday in two and a half minutes
  gridsignal demo --day 2024-12-12 --speed max --json > day.json
  gridsignal demo --console                # watch it in a browser
  gridsignal demo --speed max --report day.html
  gridsignal demo --log kafka://127.0.0.1:9092 --schema-registry http://127.0.0.1:8085
"""


def parser() -> Arguments:
    """The command's arguments."""
    made = Arguments(
        prog="gridsignal demo",
        description="Plays a real day through the embedded stack: prices out, requests, offers, orders, meters back.",
        epilog=EXAMPLE,
    )
    made.add_argument("--day", choices=DAYS, default=DAYS[0], help="the market day (default: %(default)s)")
    made.add_argument(
        "--seed", type=whole(0, 2**63 - 1), default=1, help="prices and noise of the synthetic sites (default: 1)"
    )
    made.add_argument(
        "--speed",
        type=_speed,
        default=600.0,
        help="grid seconds per wall second, or max (default: 600, about 220 s; `make demo` takes 900, about 150 s)",
    )
    made.add_argument("--directory", type=Path, help="keep the log here (default: a temporary directory)")
    made.add_argument(
        "--log",
        type=_cluster,
        metavar="kafka://HOST:PORT[,...][/PREFIX]",
        help="play on a cluster, under a topic prefix of its own; without PREFIX its topics are deleted at the end",
    )
    made.add_argument("--schema-registry", metavar="URL", help="goes with --log (GRIDSIGNAL_SCHEMA_REGISTRY)")
    made.add_argument(
        "--report", type=Path, metavar="FILE.html", help="write the day as one page to look at, with charts"
    )
    made.add_argument(
        "--console", action="store_true", help="print links to watch the day in a browser; the page stays until Ctrl-C"
    )
    made.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else")
    return made


def _cluster(text: str) -> tuple[str, str]:
    servers, _, prefix = text.removeprefix("kafka://").partition("/")
    if not text.startswith("kafka://") or not servers:
        raise argparse.ArgumentTypeError(f"expected kafka://HOST:PORT, perhaps with /PREFIX, got {text!r:.60}")
    return servers, prefix


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number or max, got {text!r}") from None
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above zero, got {text!r}")
    return speed


def run(args: argparse.Namespace) -> int:
    """Plays the day. 0: done; 1: its log proves nothing; 2: that can't be played; 3: the cluster does not answer."""
    configure_logging(json=False, level="WARNING", stream=sys.stderr)
    console = Console()
    watch = _progress(args.day) if args.json else Narrator(console.print, STORIES[args.day], time.monotonic)
    try:
        result = asyncio.run(_play(args, watch))
    except SpeedRefused as refused:
        print(f"gridsignal demo: {refused}", file=sys.stderr)
        return USAGE
    except REPORTED as error:
        return failed("demo", error)
    if args.report is not None:
        try:
            args.report.write_text(report(result), encoding="utf-8")
        except OSError as error:
            return failed("demo", error)
    if args.json:
        print(json.dumps(as_json(result)))
    else:
        console.print(summary(result, console.width, unicode=console.encoding.startswith("utf")))
    return OK if result.proof is None or result.proof.holds else FAILED


def _progress(day: str) -> Watcher:
    """For whoever waits for the JSON: the grid's time now and then, on stderr."""
    narrator = Narrator(Console(stderr=True).print, STORIES[day], time.monotonic)
    return lambda _record, now: narrator(None, now)


async def _play(args: argparse.Namespace, watch: Watcher | None) -> Result:
    options = {"seed": args.seed, "speed": args.speed, "watch": watch, "cluster": _cluster_settings(args)}
    if args.console:
        options["shown"] = partial(_watched, Console(stderr=args.json).print)
    if args.directory is not None:
        return await play_day(STORIES[args.day], directory=args.directory, **options)
    with tempfile.TemporaryDirectory(prefix="gridsignal-demo-") as directory:
        return await play_day(STORIES[args.day], directory=Path(directory), **options)


@asynccontextmanager
async def _watched(tell: Callable[[str], None], stack: Stack) -> AsyncIterator[None]:
    """Says where the day can be watched; once it is over, the page stays until somebody ends it."""
    looks: tuple[tuple[Role, str], ...] = (("operator", DESK), ("operator", GRID_OPERATOR), ("participant", "acme-ai"))
    for role, organisation in looks:
        tell(f"to watch as {organisation:<13}{stack.console_link(role, organisation)}")
    yield
    left = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, left.set)
    tell("the day is over; the page stays until Ctrl-C, which shows what it came to")
    await left.wait()


def _cluster_settings(args: argparse.Namespace) -> ServerSettings | None:
    if args.log is None:
        return None
    servers, prefix = args.log
    given = {"kafka": servers, "topic_prefix": prefix, "schema_registry": args.schema_registry}
    return ServerSettings.from_environment(os.environ, **given)
