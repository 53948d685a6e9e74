"""`gridsignal up`: the whole stack in one process, durable in one folder."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, port
from gridsignal.cli.tables import when
from gridsignal_schemas.messages import GridClock
from gridsignal_services import embedded
from gridsignal_services.access import Role
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.cli.accelerated import DIRECTORY, SPEED, Asked, clock_for, day_of
from gridsignal_services.cli.failing import REPORTED, failed
from gridsignal_services.cli.first_steps import first_steps, write_environments
from gridsignal_services.clock import Clock, ScaledClock, WallClock
from gridsignal_services.console.links import LIFE_S
from gridsignal_services.embedded import Stack
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.ingest.feeds import Feeds
from gridsignal_services.ingest.limits import IngestLimits
from gridsignal_services.ingest.replay import example_prices, repeated, shipped_days
from gridsignal_services.ingest.series import Publication
from gridsignal_services.output import say
from gridsignal_services.registry import Registry
from gridsignal_services.reloading import read_files
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.service_manager import ServiceManager
from gridsignal_services.settings import ServerSettings, given, is_loopback
from gridsignal_services.telemetry import configure_logging
from gridsignal_services.work import let_the_loop_in

EXAMPLE = """\
examples:
  gridsignal up
  gridsignal up --speed 60 --day 2024-05-12
  gridsignal up --directory /var/lib/gridsignal --registry sites.toml

Beyond this machine it needs TLS and an issuer of tokens, from the environment:
GRIDSIGNAL_HOST, GRIDSIGNAL_TLS_CERTIFICATE, GRIDSIGNAL_TLS_KEY, GRIDSIGNAL_JWKS_URL, GRIDSIGNAL_ISSUER.
SIGHUP: registry, key set, revocations and certificate are read again; they are also watched.
"""
_FASTEST = 3600
_EXAMPLE_SHARE, _EXAMPLE_DAYS = 0.6, 730
"""A stack may stay up for a year: then half of the days are left for whoever opens its folder again."""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal up",
        description="Run ingest, dispatch and gateway in one process, durable in one folder, until interrupted: on"
        " loopback to try things, or on an address with TLS and an issuer (docs/one-server.md).",
        epilog=EXAMPLE,
    )
    arguments.add_argument("--directory", type=Path, help="where everything is kept (default: gridsignal-data)")
    arguments.add_argument("--registry", type=Path, metavar="FILE", help="who there is (default: the shipped example)")
    arguments.add_argument("--feeds", type=Path, metavar="FILE", help="which public feeds to read (default: none)")
    arguments.add_argument("--gateway-port", type=port, metavar="PORT", help="for data centers (default: 8081, 0: any)")
    arguments.add_argument("--ingest-port", type=port, metavar="PORT", help="for the feeds (default: 8083, 0: any)")
    arguments.add_argument("--dispatch-port", type=port, metavar="PORT", help="for operators (default: 8082, 0: any)")
    arguments.add_argument("--ops-port", type=port, metavar="PORT", help="for metrics (default: 9081, 0: any)")
    fast = arguments.add_argument_group("a grid to develop against, whose time flies")
    fast.add_argument("--speed", type=_speed, metavar="N", help=f"grid seconds in a second ({SPEED:g} with --day)")
    fast.add_argument("--day", choices=shipped_days(), help="its first day: recorded prices and carbon, played live")
    return arguments


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 1 <= speed <= _FASTEST:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {_FASTEST}, such as 60, got {text!r:.60}")
    return speed


def run(args: argparse.Namespace) -> int:
    """0 after an orderly end, 2 when it can't start like this, 3 when the log is away."""
    asked = Asked(args.speed, args.day)
    given_here = {name: value for name, value in vars(args).items() if name not in ("speed", "day")}
    try:
        settings = _settings_of_one_machine(os.environ, given_here)
        if asked.is_given and "directory" not in given(os.environ, **given_here)[0]:
            settings = replace(settings, directory=Path(DIRECTORY))
        configure_logging(json=settings.log_format == "json", level=settings.log_level, stream=sys.stderr)
        let_the_loop_in()
        asyncio.run(_serve(settings, read_files(settings).registry, _feeds(settings), asked))
    except REPORTED as error:
        return failed("up", error, ports="--gateway-port, --dispatch-port, --ingest-port, --ops-port")
    return OK


_SERVE = "use `gridsignal serve`"
_NOT_HERE = {
    "kafka": f"`gridsignal up` has a log of its own; {_SERVE}",
    "schema_registry": f"`gridsignal up` needs no schema registry; {_SERVE}",
    "redis": f"`gridsignal up` needs no cache; {_SERVE}",
}
_EXAMPLE_AT_LARGE = "registry: expected a file beyond this machine or with an issuer, got none: the example is to try"


def _settings_of_one_machine(environment: Mapping[str, str], arguments: Mapping[str, object]) -> ServerSettings:
    """Settings that this command would not keep to are refused, with all other faults. Raises ConfigError."""
    values, faults = given(environment, **arguments)
    faults += [f"{name}: {why}" for name, why in _NOT_HERE.items() if name in values]
    values = {name: value for name, value in values.items() if name not in _NOT_HERE}
    is_at_large = not is_loopback(str(values.get("host", "localhost")))
    if (is_at_large or {"jwks", "jwks_url"} & values.keys()) and "registry" not in values:
        faults.append(_EXAMPLE_AT_LARGE)
    limits = (
        partial(RestLimits.of, prefix="GRIDSIGNAL_DISPATCH_"),
        partial(IngestLimits.of, prefix="GRIDSIGNAL_INGEST_"),
    )
    return ServerSettings.of(values, faults, (read_files, _feeds, GatewaySettings.of, *limits))


def _feeds(settings: ServerSettings) -> Feeds:
    return Feeds.load(settings.feeds, os.environ) if settings.feeds else Feeds()


async def _serve(settings: ServerSettings, registry: Registry, feeds: Feeds, asked: Asked) -> None:
    log = await SqliteLog.open(settings.directory)
    try:
        await _run(log, settings, registry, feeds, await clock_for(log, Codec.from_lock(), asked))
    finally:
        await log.aclose()


async def _run(
    log: SqliteLog, settings: ServerSettings, registry: Registry, feeds: Feeds, grid: GridClock | None
) -> None:
    ended, reload_asked = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, ended.set)
    loop.add_signal_handler(signal.SIGHUP, reload_asked.set)
    clock = WallClock() if grid is None else ScaledClock(grid)
    example = settings.registry is None
    if grid is not None:
        playback: Iterable[Publication] = repeated(day_of(grid), clock.now())
    else:
        playback = example_prices(clock.now()) if example else ()
    starting = embedded.running(
        log,
        settings.directory,
        registry=registry,
        clock=clock,
        settings=settings,
        grid=grid,
        playback=playback,
        feeds=feeds,
        reload_asked=reload_asked,
    )
    manager = ServiceManager.of(os.environ)
    async with starting as stack:
        if example:
            await stack.declare_flat_baselines(embedded.midnight(clock.now()), _EXAMPLE_DAYS, _EXAMPLE_SHARE)
        await _greet(stack, settings, clock)
        async with manager.told():
            await ended.wait()
        say("stopping: no new work, clients are told, open requests are answered")


def _lookers(stack: Stack) -> list[tuple[Role, str]]:
    """The first operator and the first participant, where tokens are made here and there is a console."""
    if stack.issuer is None or stack.dispatch.console.gateway is None:
        return []
    first = {role: (role, name) for role, name in reversed(stack.registry.organisations())}
    return sorted(first.values())


async def _greet(stack: Stack, settings: ServerSettings, clock: Clock) -> None:
    files = await stack.write_tokens(settings.directory / "tokens")
    say(f"for data centers  {stack.gateway_url}  (WebSocket /v1/stream)")
    say(f"for operators     {stack.api_url}  (REST, /docs)")
    say(f"for the feeds     {stack.feeds_url}  (/v1/feeds, /v1/signals)")
    say(f"for yourself      {stack.ops.url}  (/healthz, /readyz, /metrics)")
    if stack.dispatch.console.gateway is not None:
        say(f"to look at        {stack.api_url}/console")
    for role, organisation in _lookers(stack):
        say(f"                  {stack.console_link(role, organisation)}")
        say(f"                  signs {organisation} in, once and within {LIFE_S / 60:.0f} minutes")
    say(f"kept in           {settings.directory}")
    if stack.issuer is None:
        say(f"tokens            of {settings.issuer} for {settings.audience}")
    else:
        say("tokens            one file each, good for thirty days:")
        for who, file in sorted(files.items()):
            say(f"                  {who:<26}{file}")
        say("                  a command takes one with --token-file FILE, or GRIDSIGNAL_TOKEN=$(cat FILE)")
    if isinstance(clock, ScaledClock):
        speed = f"{clock.grid.rate:g} seconds of it in one"
        say(f"grid time         {when(clock.now(), '')}, {speed}; {day_of(clock.grid)} is played day after day")
    elif settings.registry is None:
        say("example           flat baselines, and a price curve for today and tomorrow")
    if stack.issuer is not None:
        say()
        for line in first_steps(stack, write_environments(stack, files, settings.directory)):
            say(line)
    say("\nrunning; Ctrl-C ends it in order")
