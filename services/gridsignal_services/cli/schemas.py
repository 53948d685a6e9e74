"""`gridsignal schemas register`: puts the contract's schemas into a registry, each under its own compatibility rule."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from gridsignal_schemas.catalog import SUBJECTS
from gridsignal_services.bus import LogConfigurationError, LogUnavailable
from gridsignal_services.bus.registry import Registry, text_of

EXAMPLE = """\
example:
  gridsignal schemas register --registry http://registry:8081
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    arguments = argparse.ArgumentParser(
        prog="gridsignal schemas",
        description="Register the schemas of all records. Again, it does nothing.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("action", choices=["register"])
    arguments.add_argument(
        "--registry",
        default=os.environ.get("GRIDSIGNAL_REGISTRY", "http://127.0.0.1:8081"),
        metavar="URL",
        help="a Confluent-compatible schema registry (GRIDSIGNAL_REGISTRY)",
    )
    arguments.add_argument("--prefix", default="", help="before each subject's name: a simulation has its own")
    return arguments


def run(arguments: argparse.Namespace) -> int:
    """0 when all are registered, 2 where one is not compatible with those before it, 3 when nothing answers."""
    try:
        asyncio.run(_run(arguments.registry, arguments.prefix))
    except LogConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    except LogUnavailable as error:
        print(error, file=sys.stderr)
        return 3
    return 0


async def _run(url: str, prefix: str) -> None:
    async with Registry(url) as registry:
        for subject in SUBJECTS:  # in this order always, so that empty registries give the same ids
            await registry.require(prefix + subject)
            print(f"{await registry.register(prefix + subject, text_of(subject)):6} {prefix}{subject}")
