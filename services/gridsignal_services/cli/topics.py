"""`gridsignal topics`: makes the log's topics on a Kafka cluster what topics.toml says, and prints the doors' rights.

It never deletes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, give_examples, whole
from gridsignal_services.bus.kafka_durability import REPLICATION, Change, changes
from gridsignal_services.bus.kafka_rights import BESIDE, Right, rights, rights_beside
from gridsignal_services.cli.failing import REPORTED, failed
from gridsignal_services.settings import ConfigError, ServerSettings

EXAMPLE = """\
examples:
  gridsignal topics apply --kafka broker-1:9092,broker-2:9092 --replication 3 --dry-run
  gridsignal topics apply --kafka 127.0.0.1:9092 --replication 1
  gridsignal topics acls --kafka broker-1:9092 --command-config admin.properties | sh
  gridsignal topics acls --kafka broker-1:9092 --apply

`apply` also raises replicas: the brokers copy what is there, and it waits until they have.
`acls` prints Kafka's own commands that give the users gateway, dispatch and ingest what these doors need and no more,
or gives it with --apply. No right is ever taken away.
Exit codes: 0 all is as it should be, 2 it can't be made so, 3 no broker answers: try again.
"""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal topics",
        description="Make the topics of the log and their settings what this version needs, or print the rights that"
        " the doors need on them. Nothing is ever deleted.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    apply = actions.add_parser("apply", help="make the topics, or their settings, what they have to be")
    copies = "replicas of each topic, at least (default: %(default)s)"
    apply.add_argument("--replication", type=whole(1, 32_767), default=REPLICATION, metavar="N", help=copies)
    apply.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    apply.add_argument("--json", action="store_true", help="one object a change")
    acls = actions.add_parser("acls", help="print the commands that give each door its rights, or give them")
    acls.add_argument("--feeds-ask", action="store_true", help="ingest may log the requests of its feeds (OpenADR)")
    acls.add_argument(
        "--also",
        action="append",
        choices=BESIDE,
        default=[],
        help="a user beside the doors; may be given several times",
    )
    acls.add_argument(
        "--apply", action="store_true", help="give the rights; we must be one who may, such as a super user"
    )
    acls.add_argument("--command-config", metavar="FILE", help="Kafka's file of how its commands reach the brokers")
    acls.add_argument("--json", action="store_true", help="one object a right")
    for action in (apply, acls):
        action.add_argument("--kafka", metavar="HOST:PORT,...", help="the brokers (default: GRIDSIGNAL_KAFKA)")
        action.add_argument("--prefix", dest="topic_prefix", help="before each topic's name: a simulation has its own")
    give_examples(actions, EXAMPLE)
    return arguments


def run(arguments: argparse.Namespace) -> int:
    """0 when the topics are as they should be, 2 where they can't be made so, 3 when no broker answers."""
    given = {name: getattr(arguments, name) for name in ("kafka", "topic_prefix")}
    try:
        settings = ServerSettings.from_environment(os.environ, **given)
        if arguments.action == "acls":
            return _rights(settings, arguments)
        done = asyncio.run(_run(settings, arguments.replication, dry_run=arguments.dry_run))
    except REPORTED as error:
        return failed("topics", error)
    for change in done:
        print(json.dumps(_as_json(change)) if arguments.json else change)
    if not done and not arguments.json:
        print("all topics are as they should be")
    return OK


def _rights(settings: ServerSettings, arguments: argparse.Namespace) -> int:
    if settings.kafka is None:
        raise ConfigError("kafka: expected the brokers, host:port with commas between, got nothing")
    wanted = rights(settings.topic_prefix, feeds_ask=arguments.feeds_ask)
    wanted += rights_beside(settings.topic_prefix, arguments.also)
    if arguments.apply:
        asyncio.run(_give(settings, wanted))
    for right in wanted:
        command = right.command(settings.kafka, arguments.command_config)
        print(json.dumps(asdict(right)) if arguments.json else shlex.join(command))
    return OK


async def _give(settings: ServerSettings, wanted: Sequence[Right]) -> None:
    from gridsignal_services.bus.cluster import brokers_of
    from gridsignal_services.bus.kafka_requests import give
    from gridsignal_services.bus.kafka_topics import administration

    async with administration(brokers_of(settings)) as admin:
        await give(admin, wanted)


async def _run(settings: ServerSettings, replication: int, *, dry_run: bool) -> list[Change]:
    # aiokafka comes with the extra `kafka`; the help needs none of it
    from gridsignal_services.bus.cluster import brokers_of
    from gridsignal_services.bus.kafka_topics import administration, apply, find

    async with administration(brokers_of(settings)) as admin:
        if dry_run:
            return changes(await find(admin, settings.topic_prefix), settings.topic_prefix, replication)
        return await apply(admin, settings.topic_prefix, replication)


def _as_json(change: Change) -> dict[str, object]:
    settings = {key: {"is": old, "shall_be": new} for key, (old, new) in change.settings.items()}
    replicas = {"is": change.replicas[0], "shall_be": change.replicas[1]} if change.replicas else None
    return {"topic": change.name, "make": change.new is not None, "replicas": replicas, "settings": settings}
