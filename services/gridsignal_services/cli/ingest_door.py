"""What the commands that talk to the ingest door share: its address, and what keeps it shut."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from gridsignal.__main__ import FAILED, UNAVAILABLE
from gridsignal.cli.secure import files_of
from gridsignal_services.cli.api import Failed, opened

DEFAULT_INGEST = "http://127.0.0.1:8083"


def add_address(arguments: argparse.ArgumentParser) -> None:
    """The option that says where the door is."""
    default = os.environ.get("GRIDSIGNAL_INGEST", DEFAULT_INGEST)
    arguments.add_argument("--ingest", default=default, metavar="URL", help="the ingest door (%(default)s)")


@contextmanager
def ingest_door(address: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx2.Client]:
    """The door at an address. Raises Failed for what keeps it shut."""
    with opened("ingest", address, "--ingest", DEFAULT_INGEST, headers or {}, files_of(argparse.Namespace())) as http:
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
