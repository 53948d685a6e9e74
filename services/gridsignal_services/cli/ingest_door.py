"""What the commands that talk to the ingest door share: its address, and what keeps it shut."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from gridsignal import UsageError
from gridsignal.__main__ import FAILED, UNAVAILABLE, USAGE
from gridsignal.cli.connection import bearer
from gridsignal.cli.secure import add_tls_options, files_of
from gridsignal_services.cli.api import Failed, opened

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
    try:
        headers = {"Authorization": f"Bearer {bearer(args.token_file)}"}
    except UsageError as wrong:
        raise Failed(USAGE, str(wrong)) from None
    with opened("ingest", args.ingest, "--ingest", DEFAULT_INGEST, headers, files_of(args)) as http:
        yield http


def answer(response: httpx2.Response) -> Any:
    """The door's answer. Raises Failed with every fault it named."""
    try:
        told = response.json()
        if response.is_success:
            return told
        faults = [f"{fault['pointer'] or fault['code']}: {fault['message']}" for fault in told.get("errors", [])]
        text = "; ".join(faults) or str(told["detail"])
    except (ValueError, KeyError, TypeError, AttributeError):
        text = f"expected an answer of the ingest door, got HTTP {response.status_code}"
    raise Failed(UNAVAILABLE if response.status_code in (429, 503) else FAILED, text)
