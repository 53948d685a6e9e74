"""The log that a command reads from beginning to end: in a folder, or on the cluster that the settings name."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from gridsignal_services.audit.signed import SigningOf
from gridsignal_services.audit.whole import WholeLog
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.reading import BlockingReading
from gridsignal_services.bus.sqlite_reading import log_in
from gridsignal_services.registry import Registry
from gridsignal_services.settings import ServerSettings


@contextmanager
def whole_log(args: argparse.Namespace) -> Iterator[WholeLog]:
    """The log in --directory, or where the settings name brokers the one there.

    Raises ConfigError, LogUnavailable and LogConfigurationError.
    """
    settings = ServerSettings.from_environment(os.environ, directory=args.directory)
    if settings.kafka is None or args.directory is not None:
        with log_in(settings.directory) as log:
            yield WholeLog(log, Codec.from_lock(), settings.directory)
        return
    from gridsignal_services.bus.cluster import opened  # its libraries come with the extra `kafka`

    with asyncio.Runner() as runner:
        entered = AsyncExitStack()
        kafka, codec = runner.run(entered.enter_async_context(opened(settings)))
        try:
            yield WholeLog(BlockingReading(kafka, runner), codec, settings.directory)
        finally:
            runner.run(entered.aclose())


def signing_of(registry: Path | None) -> SigningOf | None:
    """What the registry that was named says of participants' signatures; nobody knows without."""
    return None if registry is None else Registry.load(registry).signing_of
