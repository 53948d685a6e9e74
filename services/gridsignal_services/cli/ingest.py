"""`gridsignal ingest`: ask a feed once, read a saved answer, save an answer; no services needed."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gridsignal.__main__ import FAILED, OK, USAGE
from gridsignal.cli import paths
from gridsignal.cli.arguments import Arguments, give_examples, moment
from gridsignal_schemas.messages import Record
from gridsignal_schemas.values import Zone, rfc3339
from gridsignal_services.cli.api import Failed
from gridsignal_services.cli.ingest_door import add_address, answer, ingest_door
from gridsignal_services.cli.ingest_lines import show, table
from gridsignal_services.ingest.feed import (
    Ask,
    FeedAnswer,
    FeedError,
    NotYetAvailable,
    Signal,
    TooLarge,
    Unsupported,
    read,
)
from gridsignal_services.ingest.feeds import Feeds, settings_of
from gridsignal_services.ingest.fetching import Fetching
from gridsignal_services.ingest.providers import PROVIDERS
from gridsignal_services.ingest.quarantine import FeedLimits
from gridsignal_services.ingest.scrub import scrubbed_bytes
from gridsignal_services.ingest.transport import LARGEST_BYTES, Http
from gridsignal_services.settings import ConfigError

EXAMPLE = """\
example:
  gridsignal ingest fetch energy_charts --zone DE-LU --from 2024-12-12 --to 2024-12-13
  gridsignal ingest parse entsoe answer.xml --zone DE-LU --json
  gridsignal ingest status --token-file gridsignal-data/tokens/operator-tso-north.token
  gridsignal ingest record gb_carbon --zone GB --from 2024-12-12 --to 2024-12-13 --output gb.json

Settings of a feed come from the environment, never from the command line: GRIDSIGNAL_FEED_ENTSOE_TOKEN,
GRIDSIGNAL_FEED_WATTTIME_USER, GRIDSIGNAL_FEED_WATTTIME_PASSWORD, GRIDSIGNAL_FEED_ELECTRICITYMAPS_TOKEN.
Where they stand in a feeds file, `status` shows how fresh they are: exit code 1 while one of them is stale.
Exit codes: 0 figures, 1 refused or set aside, 2 usage, 3 not there yet or the feed is away: try again later.
"""
_STATUS = """\
Per feed and zone: last success, age, what is due next, revisions, quarantine; 1 while a feed is stale.
The token is an operator's, with signal:read.
"""


class _AtMarket(Arguments):
    """Days are meant as the zone's market has them, by the feeds file where one is named."""

    def market(self, found: argparse.Namespace) -> tzinfo:
        try:
            return _feeds(found).markets.of(found.zone or "").timezone
        except Failed as wrong:
            self.error(str(wrong))


def parser() -> Arguments:
    """The command's arguments."""
    arguments = _AtMarket(
        prog="gridsignal ingest",
        description="Ask a feed once, read a saved answer, or save one; no services needed.",
        epilog=EXAMPLE,
    )
    commands = arguments.add_subparsers(dest="command", required=True, metavar="COMMAND")
    fetch = _command(commands, "fetch", "ask a feed once and show what would be published", _fetch)
    _add_window(fetch)
    parse = _command(commands, "parse", "read a saved answer and show what would be published", _parse)
    parse.add_argument("file", type=Path, metavar="FILE", help="the saved answer")
    parse.add_argument("--now", type=moment, metavar="TIME", help="the time to judge it at (default: now)")
    record = _command(commands, "record", "save a raw answer with keys scrubbed", _record)
    _add_window(record)
    status = commands.add_parser("status", help="freshness of every feed of a running ingest door", description=_STATUS)
    add_address(status)
    status.add_argument("--json", action="store_true", help="one JSON object a line")
    status.set_defaults(act=_status, provider=None)
    record.add_argument("--output", type=Path, required=True, metavar="FILE", help="where to save it")
    give_examples(commands, EXAMPLE)
    return arguments


def _command(commands: Any, name: str, text: str, act: Callable[[argparse.Namespace], int]) -> Arguments:
    command: Arguments = commands.add_parser(name, help=text, description=text)
    command.add_argument("provider", choices=sorted(PROVIDERS), metavar="PROVIDER", help=", ".join(sorted(PROVIDERS)))
    command.add_argument("--zone", type=_zone, help="the zone it is about")
    command.add_argument("--signal", type=_signal, metavar="SIGNAL", help="price, carbon, forecast, alert or event")
    command.add_argument(
        "--feeds",
        type=Path,
        default=os.environ.get("GRIDSIGNAL_FEEDS"),
        metavar="FILE",
        help="a feeds file with [providers] and [markets] (default: GRIDSIGNAL_FEEDS)",
    )
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.set_defaults(act=act)
    return command


def _add_window(command: argparse.ArgumentParser) -> None:
    command.add_argument("--from", dest="since", type=moment, required=True, metavar="TIME", help="such as a day")
    command.add_argument(
        "--to", dest="until", type=moment, required=True, metavar="TIME", help="the day after the last"
    )


def _zone(text: str) -> str:
    try:
        return TypeAdapter(Zone).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"expected a zone such as DE-LU, got {text!r:.60}") from None


def _signal(text: str) -> Signal:
    try:
        return Signal(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(Signal)}, got {text!r:.40}") from None


def run(arguments: argparse.Namespace) -> int:
    """0 figures, 1 refused or set aside, 2 usage, 3 not there yet or the feed is away."""
    act: Callable[[argparse.Namespace], int] = arguments.act
    try:
        return act(arguments)
    except Unsupported as fault:
        names_zone = PROVIDERS[arguments.provider].names_zone or arguments.zone
        return _trouble(arguments, fault, 1 if names_zone else 2)
    except FeedError as fault:
        return _trouble(arguments, fault, 3 if fault.retriable else 1)
    except Failed as failed:
        print(f"gridsignal: {failed}", file=sys.stderr)
        return failed.code
    except BrokenPipeError:
        raise  # who reads us has seen enough: main() knows what to do
    except OSError as fault:
        print(paths.sentence(fault), file=sys.stderr)
        return paths.code(fault)


def _trouble(arguments: argparse.Namespace, fault: FeedError, code: int) -> int:
    if arguments.json:
        name = "not_yet" if isinstance(fault, NotYetAvailable) else "failed"
        print(json.dumps({name: type(fault).__name__, "reason": str(fault)}))
    print(f"{type(fault).__name__}: {fault}", file=sys.stderr)
    return code


def _parse(arguments: argparse.Namespace) -> int:
    with arguments.file.open("rb") as file:
        body = file.read(LARGEST_BYTES + 1)
    if len(body) > LARGEST_BYTES:
        raise TooLarge(f"expected a file of at most {LARGEST_BYTES} bytes, got more")
    feeds = _feeds(arguments)
    settings = feeds.settings[arguments.provider]
    signal, now = _signal_asked(arguments), (arguments.now or datetime.now(UTC)).astimezone(UTC)
    ask = Ask(zone=arguments.zone, signal=signal, now=now, settings=settings, markets=feeds.markets)
    return _shown(read(PROVIDERS[arguments.provider], FeedAnswer(body), ask), arguments, ask)


def _feeds(arguments: argparse.Namespace) -> Feeds:
    """What the feeds file says, if there is one, and the environment."""
    try:
        return Feeds.load(arguments.feeds, os.environ) if arguments.feeds else Feeds(settings=settings_of(os.environ))
    except ConfigError as wrong:
        raise Failed(USAGE, str(wrong)) from None


def _signal_asked(arguments: argparse.Namespace) -> Signal | None:
    able: list[Signal] = list(PROVIDERS[arguments.provider].cadence)
    if arguments.signal not in (None, *able):
        message = f"--signal: expected one of {', '.join(able)} from {arguments.provider}, got {arguments.signal}"
        raise Failed(USAGE, message)
    chosen: Signal | None = arguments.signal
    return chosen


def _shown(records: list[Record], arguments: argparse.Namespace, ask: Ask) -> int:
    for unread in ask.left_out:
        print(f"left out: {unread}", file=sys.stderr)
    if (more := len(ask.left_out) - len(ask.left_out.texts)) > 0:
        print(f"left out: {more} more", file=sys.stderr)
    if not records:
        print("a good answer with nothing to publish", file=sys.stderr)
    limits = FeedLimits(markets=ask.markets)
    return show(records, asked_zone=arguments.zone, now=ask.now, as_json=arguments.json, limits=limits)


def _fetch(arguments: argparse.Namespace) -> int:
    ask = _question(arguments)
    return _shown(asyncio.run(_asked(arguments, ask, None)), arguments, ask)


def _record(arguments: argparse.Namespace) -> int:
    kept: list[bytes] = []
    secrets = list(settings_of(os.environ)[arguments.provider].values())
    try:
        asyncio.run(_asked(arguments, _question(arguments), lambda _, answer: kept.append(answer.body)))
    finally:
        if kept:
            arguments.output.write_bytes(scrubbed_bytes(kept[0], secrets))
            print(f"{arguments.output}: {len(kept[0])} bytes, the first of {len(kept)} answers", file=sys.stderr)
    return 0


def _question(arguments: argparse.Namespace) -> Ask:
    markets = _feeds(arguments).markets
    signal = _signal_asked(arguments) or next(iter(PROVIDERS[arguments.provider].cadence))
    starts_at, ends_at = (each.astimezone(UTC) for each in (arguments.since, arguments.until))
    if ends_at <= starts_at:
        raise Failed(USAGE, f"--to: expected a time after --from ({rfc3339(starts_at)}), got {rfc3339(ends_at)}")
    now = datetime.now(UTC)
    return Ask(zone=arguments.zone, signal=signal, now=now, starts_at=starts_at, ends_at=ends_at, markets=markets)


async def _asked(
    arguments: argparse.Namespace, ask: Ask, keep: Callable[[str, FeedAnswer], None] | None
) -> list[Record]:
    settings = _feeds(arguments).settings
    async with Http() as http:
        return await Fetching(http, PROVIDERS, settings, keep, markets=ask.markets).fetch(arguments.provider, ask)


def _status(arguments: argparse.Namespace) -> int:
    with ingest_door(arguments) as http:
        feeds = answer(http.get("/v1/feeds"))
    if arguments.json:
        for feed in feeds:
            print(json.dumps(feed))
    else:
        print(
            table(feeds, datetime.now(UTC)) if feeds else "no feeds: name a feeds file with --feeds or GRIDSIGNAL_FEEDS"
        )
    return FAILED if any(feed["stale"] for feed in feeds) else OK
