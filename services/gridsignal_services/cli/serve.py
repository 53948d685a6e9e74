"""`gridsignal serve`: one door as a service of its own, on Kafka."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, port
from gridsignal_services.addresses import authority
from gridsignal_services.cli.failing import REPORTED, failed
from gridsignal_services.output import say
from gridsignal_services.reloading import Files, read_files
from gridsignal_services.service_manager import ServiceManager
from gridsignal_services.settings import Check, ServerSettings
from gridsignal_services.telemetry import configure_logging
from gridsignal_services.work import let_the_loop_in

DOORS = ("dispatch", "gateway", "ingest")
EXAMPLE = """\
examples:
  gridsignal serve gateway --kafka broker-1:9092,broker-2:9092 --schema-registry http://registry:8081
  gridsignal serve dispatch --kafka 127.0.0.1:9092 --schema-registry http://127.0.0.1:8085 --registry sites.toml

Before the first start: `gridsignal topics apply` and `gridsignal schemas register`.
Every setting can come from the environment instead, as GRIDSIGNAL_KAFKA and so on; secrets only from there:
GRIDSIGNAL_KAFKA_USERNAME, GRIDSIGNAL_KAFKA_PASSWORD, GRIDSIGNAL_REDIS.
SIGHUP: registry, key set, revocations and certificate are read again; they are also watched.
SIGTERM or Ctrl-C: it stops being ready, answers open requests, asks clients to reconnect elsewhere, and ends.
Exit codes: 0 ended in order, 2 it can't start like this, 3 the brokers or the registry don't answer: try again.
"""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal serve",
        description="Run one door as a service: several of each may run, anywhere the brokers are reached.",
        epilog=EXAMPLE,
    )
    told = "gateway (for data centers), dispatch (for operators) or ingest (for feeds)"
    arguments.add_argument("door", metavar="DOOR", choices=DOORS, help=told)
    arguments.add_argument("--kafka", metavar="HOST:PORT,...", help="the brokers")
    arguments.add_argument("--schema-registry", metavar="URL", help="a Confluent-compatible schema registry")
    arguments.add_argument("--prefix", dest="topic_prefix", help="before each topic's name: a simulation has its own")
    arguments.add_argument("--registry", type=Path, metavar="FILE", help="who there is (default: the shipped example)")
    arguments.add_argument("--feeds", type=Path, metavar="FILE", help="what ingest reads (default: nothing)")
    arguments.add_argument(
        "--directory", type=Path, help="keys that all doors share, and the local issuer (default: gridsignal-data)"
    )
    arguments.add_argument("--host", help="the address to listen on (default: 127.0.0.1)")
    arguments.add_argument("--port", type=port, help="the port (default: gateway 8081, dispatch 8082, ingest 8083)")
    arguments.add_argument("--ops-port", type=port, help="where /metrics is read (default: 1000 above the port)")
    return arguments


def run(args: argparse.Namespace) -> int:
    """0 after an orderly end, 2 when it can't start like this, 3 when the brokers or the registry don't answer."""
    given = {name: value for name, value in vars(args).items() if name not in ("door", "port")}
    given[f"{args.door}_port"] = args.port
    try:
        settings = ServerSettings.from_environment(os.environ, *_checks(args.door), **given)
        files = read_files(settings)
        configure_logging(json=settings.log_format == "json", level=settings.log_level, stream=sys.stderr)
        let_the_loop_in()
        asyncio.run(_serve(args.door, settings, files))
    except REPORTED as error:
        return failed("serve", error, ports="--port, --ops-port")
    return OK


def _checks(door: str) -> Sequence[Check]:
    """All that can be known before the brokers are asked."""
    # aiokafka comes with the extra `kafka`; the help needs none of it
    from gridsignal_services.serving import checks

    return (read_files, *checks(door))


async def _serve(door: str, settings: ServerSettings, files: Files) -> None:
    from gridsignal_services.serving import DOORS as SERVED
    from gridsignal_services.serving import resources

    ended, reload_asked = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, ended.set)
    loop.add_signal_handler(signal.SIGHUP, reload_asked.set)

    @asynccontextmanager
    async def announced(host: str, port: int) -> AsyncIterator[None]:
        say(f"{door} ready at {authority(host, port)}")
        async with ServiceManager.of(os.environ).told():
            yield

    async with resources(settings, files, reload_asked) as on:
        await SERVED[door](on, ended, announced)
