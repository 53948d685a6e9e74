"""`gridsignal topics apply`: makes the log's topics on a Kafka cluster what topics.toml says. It never deletes."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from gridsignal_services.bus import LogConfigurationError, LogUnavailable
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply, changes, find

EXAMPLE = """\
example:
  gridsignal topics apply --kafka broker-1:9092,broker-2:9092 --replication 3 --dry-run
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    arguments = argparse.ArgumentParser(
        prog="gridsignal topics",
        description="Make the topics of the log and their settings what this version needs. Nothing is ever deleted.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("action", choices=["apply"])
    arguments.add_argument(
        "--kafka",
        default=os.environ.get("GRIDSIGNAL_KAFKA", "127.0.0.1:9092"),
        metavar="HOST:PORT,...",
        help="the brokers (GRIDSIGNAL_KAFKA)",
    )
    arguments.add_argument("--prefix", default="", help="before each topic's name: a simulation has its own")
    arguments.add_argument(
        "--replication", type=int, default=3, metavar="N", help="replicas of a new topic (default 3)"
    )
    arguments.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    return arguments


def run(arguments: argparse.Namespace) -> int:
    """0 when the topics are as they should be, 2 where they can't be made so, 3 when no broker answers."""
    try:
        return asyncio.run(_run(arguments))
    except LogConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    except LogUnavailable as error:
        print(error, file=sys.stderr)
        return 3


async def _run(arguments: argparse.Namespace) -> int:
    async with administration(Brokers(arguments.kafka)) as admin:
        if arguments.dry_run:
            done = changes(await find(admin, arguments.prefix), arguments.prefix, arguments.replication)
        else:
            done = await apply(admin, arguments.prefix, arguments.replication)
    for change in done:
        print(change)
    if not done:
        print("all topics are as they should be")
    return 0
