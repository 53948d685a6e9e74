"""`gridsignal up`: the whole stack in one process, durable in one folder."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from gridsignal.__main__ import OK, UNAVAILABLE, USAGE
from gridsignal_services import embedded
from gridsignal_services.bus import LogConfigurationError, LogUnavailable
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import WallClock
from gridsignal_services.embedded import Stack
from gridsignal_services.settings import ConfigError, Registry, ServerSettings, example_registry
from gridsignal_services.telemetry import configure_logging

EXAMPLE = """\
examples:
  gridsignal up
  gridsignal up --directory /var/lib/gridsignal --registry sites.toml
"""
_EXAMPLE_SHARE, _EXAMPLE_DAYS = 0.6, 9


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    arguments = argparse.ArgumentParser(
        prog="gridsignal up",
        description="Run ingest, dispatch and gateway in one process, durable in one folder, until interrupted.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("--directory", type=Path, help="where everything is kept (default: gridsignal-data)")
    arguments.add_argument("--registry", type=Path, metavar="FILE", help="who there is (default: the shipped example)")
    arguments.add_argument("--gateway-port", type=int, metavar="PORT", help="for data centers (default: 8081, 0: any)")
    arguments.add_argument(
        "--ingest-port", type=int, metavar="PORT", help="for the feeds' health (default: any)"
    )
    arguments.add_argument("--dispatch-port", type=int, metavar="PORT", help="for operators (default: 8082, 0: any)")
    return arguments


def run(args: argparse.Namespace) -> int:
    """0 after an orderly end, 2 when it can't start like this, 3 when the log is away."""
    try:
        settings = ServerSettings.from_environment(os.environ, **vars(args))
        registry = Registry.load(settings.registry) if settings.registry else example_registry()
        configure_logging(json=settings.log_format == "json", level=settings.log_level, stream=sys.stderr)
        asyncio.run(_serve(settings, registry))
    except (ConfigError, LogConfigurationError, LogUnavailable, OSError) as error:
        return _failed(error)
    except ExceptionGroup as group:
        return _failed(_first(group))
    return OK


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The first cause; one that nobody foresaw goes on with its traceback."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, ConfigError | LogConfigurationError | LogUnavailable | OSError):
        raise group
    return error


def _failed(error: Exception) -> int:
    print(f"gridsignal up: {error}", file=sys.stderr)
    return UNAVAILABLE if isinstance(error, LogUnavailable) else USAGE


async def _serve(settings: ServerSettings, registry: Registry) -> None:
    log = await SqliteLog.open(settings.directory)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, ended.set)
    clock = WallClock()
    circuit = embedded.running(log, settings.directory, registry=registry, clock=clock, settings=settings)
    try:
        async with circuit as stack:
            if settings.registry is None:
                start = embedded.midnight(datetime.now(UTC))
                await stack.declare_flat_baselines(start, _EXAMPLE_DAYS, _EXAMPLE_SHARE)
            await _greet(stack, settings)
            await ended.wait()
            print("stopping: clients are sent elsewhere, what is under way is finished", flush=True)
    finally:
        await log.aclose()


async def _greet(stack: Stack, settings: ServerSettings) -> None:
    files = await stack.write_tokens(settings.directory / "tokens")
    participant, operator = (next(f for who, f in files.items() if who.startswith(r)) for r in ("part", "oper"))
    site = next(
        name for name, entry in stack.registry.sites.items() if f"participant-{entry.participant}." in str(participant)
    )
    zone = stack.registry.sites[site].zone
    print(f"for data centers  {stack.gateway_url}  (WebSocket /v1/stream, /healthz, /readyz, /metrics)")
    print(f"for operators     {stack.api_url}  (REST, /docs, /healthz, /readyz, /metrics)")
    print(f"for the feeds     {stack.feeds_url}  (/v1/feeds, /healthz, /readyz, /metrics)")
    print(f"kept in           {settings.directory}")
    print("tokens            one file each, good for thirty days:")
    for who, file in sorted(files.items()):
        print(f"                  {who:<26}{file}")
    if settings.registry is None:
        print("baselines         sites of the shipped example have a flat one, so that offers can be tried")
    watcher = f"--url {stack.gateway_url} --token-file {participant}"
    asker = f"--api {stack.api_url} --token-file {operator}"
    print("\ntry, each in a terminal of its own:")
    print(f"  gridsignal watch requests --zone {zone} {watcher}")
    print(f"  gridsignal request create --zone {zone} --down 12MW --start +40m --for 45m --gate +2m {asker}")
    print(f"  gridsignal offer create REQUEST_ID --power 12MW --price 90 --site {site} {watcher}")
    print("\nrunning; Ctrl-C ends it in order", flush=True)
