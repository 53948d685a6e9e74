"""`gridsignal schemas register`: puts the contract's schemas into a registry, each under its own compatibility rule."""

from __future__ import annotations

import argparse
import asyncio
import json
import os

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments
from gridsignal_schemas.catalog import SUBJECTS
from gridsignal_services.bus.registry import NotRegistered, SchemaRegistry, register_all
from gridsignal_services.cli.failing import REPORTED, failed
from gridsignal_services.settings import ConfigError, ServerSettings

EXAMPLE = """\
examples:
  gridsignal schemas register --schema-registry http://registry:8081
  gridsignal schemas register --schema-registry http://registry:8081 --kafka broker-1:9092

With --kafka it looks at the log first, and registers nothing in a registry that is not the log's own.
Exit codes: 0 all are registered, 2 one can't be, 3 the registry or the brokers don't answer: try again.
"""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal schemas",
        description="Register the schemas of all records. A second run changes nothing.",
        epilog=EXAMPLE,
    )
    arguments.add_argument("action", metavar="ACTION", choices=["register"], help="register: write them there")
    arguments.add_argument(
        "--schema-registry", metavar="URL", help="a Confluent-compatible one (GRIDSIGNAL_SCHEMA_REGISTRY)"
    )
    arguments.add_argument("--kafka", metavar="HOST:PORT,...", help="the brokers of the log (GRIDSIGNAL_KAFKA)")
    arguments.add_argument("--prefix", dest="topic_prefix", help="before each subject's name: a simulation has its own")
    arguments.add_argument("--json", action="store_true", help="one object on stdout: the id of each subject")
    return arguments


def run(arguments: argparse.Namespace) -> int:
    """0 when all are registered, 2 where one is not compatible with those before it, 3 when nothing answers."""
    given = {name: getattr(arguments, name) for name in ("schema_registry", "kafka", "topic_prefix")}
    try:
        registered = asyncio.run(_run(ServerSettings.from_environment(os.environ, **given)))
    except REPORTED as error:
        return failed("schemas", error)
    if arguments.json:
        print(json.dumps(registered))
    else:
        for subject, schema_id in registered.items():
            print(f"{schema_id:6} {subject}")
    return OK


async def _run(settings: ServerSettings) -> dict[str, int]:
    if settings.schema_registry is None:
        raise ConfigError("schema_registry: expected the registry's URL, got nothing")
    asks_as = {"username": settings.schema_registry_username, "password": settings.schema_registry_password}
    async with SchemaRegistry(settings.schema_registry, **asks_as) as registry:
        if settings.kafka is None:
            registered = await register_all(registry, settings.topic_prefix)
        else:
            registered = await _register_for(settings, registry)
    return {settings.topic_prefix + subject: schema_id for subject, schema_id in registered.items()}


async def _register_for(settings: ServerSettings, registry: SchemaRegistry) -> dict[str, int]:
    # aiokafka comes with the extra `kafka`; a registry alone needs none of it
    from gridsignal_services.bus.cluster import brokers_of
    from gridsignal_services.bus.kafka import KafkaLog
    from gridsignal_services.bus.kafka_topics import administration, find
    from gridsignal_services.bus.written import must_agree, written_ids

    brokers, prefix = brokers_of(settings), settings.topic_prefix
    async with administration(brokers) as admin:
        begun = bool(await find(admin, prefix))
    if not begun:
        return await register_all(registry, prefix)
    log = await KafkaLog.open(brokers, prefix=prefix)
    try:
        written = await written_ids(log)
    finally:
        await log.aclose()
    if not await _is_empty(registry, prefix):
        await must_agree(registry, written)
    registered = await register_all(registry, prefix)
    await must_agree(registry, written)  # an empty registry may give the ids it gave before, or go on counting
    return registered


async def _is_empty(registry: SchemaRegistry, prefix: str) -> bool:
    for subject in SUBJECTS:
        try:
            await registry.latest(prefix + subject)
        except NotRegistered:
            continue
        return False
    return True
