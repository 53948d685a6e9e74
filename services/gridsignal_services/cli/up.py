"""`gridsignal up`: the whole stack in one process, durable in one folder."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments
from gridsignal_services import embedded
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.cli.failing import TOLD, failed
from gridsignal_services.cli.first_steps import first_steps, write_environments
from gridsignal_services.clock import WallClock
from gridsignal_services.embedded import Stack
from gridsignal_services.ingest.feeds import Feeds
from gridsignal_services.ingest.replay import example_prices
from gridsignal_services.registry import Registry, example_registry
from gridsignal_services.settings import ConfigError, ServerSettings, is_loopback
from gridsignal_services.telemetry import configure_logging

EXAMPLE = """\
examples:
  gridsignal up
  gridsignal up --directory /var/lib/gridsignal --registry sites.toml
"""
_EXAMPLE_SHARE, _EXAMPLE_DAYS = 0.6, 730
"""A stack may stay up for a year: then half of the days are left for whoever opens its folder again."""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal up",
        description="Run ingest, dispatch and gateway in one process, durable in one folder, until interrupted.",
        epilog=EXAMPLE,
    )
    arguments.add_argument("--directory", type=Path, help="where everything is kept (default: gridsignal-data)")
    arguments.add_argument("--registry", type=Path, metavar="FILE", help="who there is (default: the shipped example)")
    arguments.add_argument("--feeds", type=Path, metavar="FILE", help="which public feeds to read (default: none)")
    arguments.add_argument("--gateway-port", type=int, metavar="PORT", help="for data centers (default: 8081, 0: any)")
    arguments.add_argument("--ingest-port", type=int, metavar="PORT", help="for the feeds (default: 8083, 0: any)")
    arguments.add_argument("--dispatch-port", type=int, metavar="PORT", help="for operators (default: 8082, 0: any)")
    arguments.add_argument("--ops-port", type=int, metavar="PORT", help="for metrics (default: 9081, 0: any)")
    return arguments


def run(args: argparse.Namespace) -> int:
    """0 after an orderly end, 2 when it can't start like this, 3 when the log is away."""
    try:
        settings = ServerSettings.from_environment(os.environ, **vars(args))
        _must_be_for_one_machine(settings)
        registry = Registry.load(settings.registry) if settings.registry else example_registry()
        configure_logging(json=settings.log_format == "json", level=settings.log_level, stream=sys.stderr)
        feeds = Feeds.load(settings.feeds, os.environ) if settings.feeds else Feeds()
        asyncio.run(_serve(settings, registry, feeds))
    except TOLD as error:
        return failed("up", error, ports="--gateway-port, --dispatch-port, --ingest-port, --ops-port")
    return OK


def _must_be_for_one_machine(settings: ServerSettings) -> None:
    """Settings that this command would not keep to are refused: it trusts its own issuer, and nobody else reads along.

    Raises ConfigError.
    """
    if not is_loopback(settings.host):
        raise ConfigError(f"host: expected loopback, for this command runs on one machine, got {settings.host!r:.60}")
    if settings.jwks is not None:
        raise ConfigError(
            "jwks: expected none: `up` can't use an external issuer; use `gridsignal serve` (needs Kafka)"
        )
    if settings.tls_certificate is not None:
        raise ConfigError("tls_certificate: expected none on loopback, got one")
    for name in ("kafka", "schema_registry", "redis"):
        if getattr(settings, name) is not None:
            raise ConfigError(f"{name}: expected none, for this command keeps everything itself; see gridsignal serve")


async def _serve(settings: ServerSettings, registry: Registry, feeds: Feeds) -> None:
    log = await SqliteLog.open(settings.directory)
    ended, reload_asked = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, ended.set)
    loop.add_signal_handler(signal.SIGHUP, reload_asked.set)
    clock = WallClock()
    example = settings.registry is None
    playback = example_prices(clock.now()) if example else ()
    circuit = embedded.running(
        log,
        settings.directory,
        registry=registry,
        clock=clock,
        settings=settings,
        playback=playback,
        feeds=feeds,
        reload_asked=reload_asked,
    )
    try:
        async with circuit as stack:
            if example:
                start = embedded.midnight(datetime.now(UTC))
                await stack.declare_flat_baselines(start, _EXAMPLE_DAYS, _EXAMPLE_SHARE)
            await _greet(stack, settings)
            await ended.wait()
            print("stopping: no new work, clients are told, open requests are answered", flush=True)
    finally:
        await log.aclose()


async def _greet(stack: Stack, settings: ServerSettings) -> None:
    files = await stack.write_tokens(settings.directory / "tokens")
    print(f"for data centers  {stack.gateway_url}  (WebSocket /v1/stream)")
    print(f"for operators     {stack.api_url}  (REST, /docs)")
    print(f"for the feeds     {stack.feeds_url}  (/v1/feeds, /v1/signals)")
    print(f"for yourself      {stack.ops.url}  (/healthz, /readyz, /metrics)")
    print(f"kept in           {settings.directory}")
    print("tokens            one file each, good for thirty days:")
    for who, file in sorted(files.items()):
        print(f"                  {who:<26}{file}")
    print("                  a command takes one with --token-file FILE, or GRIDSIGNAL_TOKEN=$(cat FILE)")
    if settings.registry is None:
        print("example           flat baselines, and a price curve for today and tomorrow")
    print()
    for line in first_steps(stack, write_environments(stack, files, settings.directory)):
        print(line)
    print("\nrunning; Ctrl-C ends it in order", flush=True)
