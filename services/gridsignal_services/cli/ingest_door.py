"""What the commands that talk to the ingest door share: its address, and what keeps it shut."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from gridsignal.__main__ import FAILED, UNAVAILABLE, USAGE
from gridsignal_services.cli.api import Failed, cause_of

DEFAULT_INGEST = "http://127.0.0.1:8083"


def add_address(arguments: argparse.ArgumentParser) -> None:
    """The option that says where the door is."""
    default = os.environ.get("GRIDSIGNAL_INGEST", DEFAULT_INGEST)
    arguments.add_argument("--ingest", default=default, metavar="URL", help="the ingest door (%(default)s)")


@contextmanager
def ingest_door(address: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx2.Client]:
    """The door at an address. Raises Failed for what keeps it shut."""
    try:
        if not httpx2.URL(address).host:
            raise httpx2.InvalidURL("no host")
        with httpx2.Client(base_url=address, headers=dict(headers or {}), timeout=15) as http:
            yield http
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as wrong:
        raise Failed(USAGE, f"--ingest: expected an address such as {DEFAULT_INGEST}, got {address!r}") from wrong
    except httpx2.TransportError as away:
        raise Failed(UNAVAILABLE, f"expected the ingest door at {address}, got {cause_of(away)}") from away


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
