"""What the commands that talk to the ingest door share: its address, and what keeps it shut."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from gridsignal.cli.secure import add_tls_options
from gridsignal.cli.words import NONE, Options
from gridsignal_services.cli import api
from gridsignal_services.cli.api import opened

DEFAULT_INGEST = "http://127.0.0.1:8083"


def add_address(arguments: argparse.ArgumentParser) -> None:
    """The options that say where the door is, and who asks; never a token on the command line."""
    default = os.environ.get("GRIDSIGNAL_INGEST", DEFAULT_INGEST)
    arguments.add_argument("--ingest", default=default, metavar="URL", help="the ingest door (%(default)s)")
    arguments.add_argument(
        "--token-file", type=Path, metavar="FILE", help="a file with the bearer token (default: GRIDSIGNAL_TOKEN)"
    )
    add_tls_options(arguments)


@contextmanager
def ingest_door(args: argparse.Namespace) -> Iterator[httpx2.Client]:
    """The door these options describe. Raises Failed for what keeps it shut."""
    with opened("ingest", args.ingest, "--ingest", DEFAULT_INGEST, args) as http:
        yield http


def answer(response: httpx2.Response, options: Options = NONE) -> Any:
    """The door's answer. Raises Failed with every fault it named."""
    return api.answer(response, options, door="ingest")
