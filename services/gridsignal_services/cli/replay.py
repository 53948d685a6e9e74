"""`gridsignal replay FILE`: publishes recorded days of prices and carbon to an embedded log."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

from gridsignal.cli.arguments import Arguments
from gridsignal.cli.tables import when
from gridsignal_schemas.messages import GridClock, Record
from gridsignal_schemas.values import rfc3339
from gridsignal_services.bus import LogConfigurationError, LogUnavailable
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.cli.failing import failed
from gridsignal_services.cli.progress import Progress
from gridsignal_services.clock import Clock, ScaledClock, micros
from gridsignal_services.ingest.feed import FeedError
from gridsignal_services.ingest.publishing import Origin, Publishing
from gridsignal_services.ingest.replay import play, selection, shipped_days, shipped_text
from gridsignal_services.ingest.series import Publication, hours, publications

EXAMPLE = """\
example:
  gridsignal replay 2024-05-12 --log ./replayed
  gridsignal replay prices-of-a-year.csv --zone DE-LU --day 2024-12-12 --speed 3600 --log ./replayed

FILE is a CSV of the columns zone,start_utc,price,currency_per_mwh,price_flag,ci_lca_g_per_kwh,ci_direct_g_per_kwh,
ci_estimated (one row an hour), or the name of a day that comes with the product.
What lies on the log already is not published again.
"""
_LOOK_S = 0.25


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal replay",
        description="Publish recorded days of prices and carbon to an embedded log.",
        epilog=EXAMPLE,
    )
    arguments.add_argument("file", metavar="FILE", help=f"a CSV file, or one of: {', '.join(shipped_days())}")
    arguments.add_argument("--zone", action="append", default=[], help="only this zone (may be repeated)")
    arguments.add_argument(
        "--day", action="append", default=[], type=_day, metavar="DAY", help="only this market day (may be repeated)"
    )
    arguments.add_argument(
        "--speed",
        type=_speed,
        default=None,
        metavar="N",
        help="grid seconds per wall second (default: as fast as the log)",
    )
    arguments.add_argument(
        "--log", type=Path, default=Path("gridsignal-replay"), metavar="DIR", help="the log's folder"
    )
    arguments.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else there")
    return arguments


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1_000_000:
        raise argparse.ArgumentTypeError(f"expected a number above 0 or max, got {text!r}")
    return speed


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day such as 2024-12-12, got {text!r:.60}") from None


def run(arguments: argparse.Namespace) -> int:
    """0 when all is on the log; 1 for a file or log that can't be used, 2 for a path, 3 when the log went away."""
    try:
        text = _text(arguments.file)
        plan = publications(hours(text), selection(arguments.zone, arguments.day))
        if not plan:
            print(f"{arguments.file}: nothing to publish for these zones and days", file=sys.stderr)
            return 1
        arguments.log.mkdir(parents=True, exist_ok=True)
        counts = asyncio.run(_replayed(plan, arguments.log, arguments.speed))
    except (FeedError, LogConfigurationError, UnicodeDecodeError) as fault:
        print(f"{arguments.file}: {fault}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise  # who reads us has seen enough: main() knows what to do
    except (OSError, LogUnavailable) as fault:
        return failed("replay", fault)
    _tell(counts, plan, arguments)
    return 0


def _text(name: str) -> str:
    path = Path(name)
    if not path.exists() and name in shipped_days():
        return shipped_text(name)
    return path.read_text("utf-8-sig")


async def _replayed(plan: list[Publication], directory: Path, speed: float | None) -> Counter[str]:
    first = plan[0].at
    clock: Clock = Jumping(first) if speed is None else ScaledClock(_grid(first, speed))
    log = await SqliteLog.open(directory, append_time_us=lambda: micros(clock.now()))
    counts: Counter[str] = Counter()
    try:
        publishing = Publishing(log, Codec.from_lock(), clock)

        async def publish(records: list[Record]) -> None:
            batch = await publishing.take(records, Origin("replay", "recorded"))
            counts.update(record.record_name for _, record in batch.published)
            counts.update({"set_aside": len(batch.set_aside), "known": batch.known + batch.lower})

        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(publishing.run())]
            beside += [tasks.create_task(_tell_progress(counts, len(plan), clock))]
            await play(plan, clock, publish)
            for task in beside:
                task.cancel()
    finally:
        await log.aclose()
    return counts


def _grid(first: datetime, speed: float) -> GridClock:
    return GridClock(origin=first, rate=speed, epoch=datetime.now(UTC))


class Jumping:
    """A clock without waiting: whoever sleeps until a moment is there at once."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, when: datetime) -> None:
        self._now = max(self._now, when)


async def _tell_progress(counts: Counter[str], total: int, clock: Clock) -> None:
    progress = Progress()
    try:
        while True:
            await asyncio.sleep(_LOOK_S)
            done = sum(counts.values())
            progress.tell(done, total, f"{when(clock.now(), '')}  {done} of {total}")
    finally:
        progress.end()


def _tell(counts: Counter[str], plan: list[Publication], arguments: argparse.Namespace) -> None:
    zones = sorted({str(getattr(publication.record, "zone", "")) for publication in plan})
    summary = {
        "file": arguments.file,
        "log": str(arguments.log),
        "zones": zones,
        "from": rfc3339(plan[0].at),
        "to": rfc3339(plan[-1].at),
        "spot_prices": counts["SpotPrice"],
        "carbon_intensities": counts["CarbonIntensity"],
        "already_there": counts["known"],
        "set_aside": counts["set_aside"],
    }
    if arguments.json:
        print(json.dumps(summary))
        return
    print(f"{arguments.file} -> {arguments.log}: {', '.join(zones)}, {summary['from']} to {summary['to']}")
    print(
        f"published {summary['spot_prices']} price curves and {summary['carbon_intensities']} carbon figures, "
        f"{summary['already_there']} were there already, {summary['set_aside']} were set aside"
    )
