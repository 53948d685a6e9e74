"""`gridsignal request amend`: the next revision of an open request; what is not named stays as it is."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

import httpx2

from gridsignal.__main__ import USAGE
from gridsignal.cli.arguments import moment, power_w, price, span
from gridsignal_services.cli.api import Failed, answer, below, rfc
from gridsignal_services.dispatch.shapes import RequestBody

_FIELDS = {
    "power": "power_w",
    "start": "starts_at",
    "gate": "gate_closure_at",
    "decide": "decision_deadline",
    "cap": "price_cap_per_mwh",
    "min": "min_quantity_w",
    "text": "text",
}
"""What an option changes."""
WORDS = {"ends_at": "--for", "If-Match": "REQUEST_ID", "request_id": "REQUEST_ID", "revision": "REQUEST_ID"} | {
    field: f"--{name}" for name, field in _FIELDS.items()
}
"""What says each field of an amendment."""


def add_arguments(amend: argparse.ArgumentParser) -> None:
    """The arguments of the amendment."""
    amend.add_argument("request_id", metavar="REQUEST_ID")
    amend.add_argument("--power", type=power_w, metavar="POWER", help="how much, such as 10MW")
    amend.add_argument("--start", type=moment, metavar="TIME", help="full power from here; its length stays")
    amend.add_argument("--for", dest="length", type=span, metavar="SPAN", help="how long, such as 30m")
    amend.add_argument("--gate", type=moment, metavar="TIME", help="offers until then")
    amend.add_argument("--decide", type=moment, metavar="TIME", help="cleared by then")
    amend.add_argument("--cap", type=price, metavar="PRICE", help="no offers above it, per MWh")
    amend.add_argument("--min", type=power_w, metavar="POWER", help="smallest award")
    amend.add_argument("--text", help="for people")


def amended(http: httpx2.Client, args: argparse.Namespace) -> dict[str, Any]:
    """Reads the request, changes it, and sends it back for the revision that was read. Raises Failed."""
    path = below("requests", args.request_id)
    current = answer(http.get(path))["request"]
    body = changed(current, args)
    view: dict[str, Any] = answer(http.put(path, json=body, headers={"If-Match": f'"{current["revision"]}"'}), WORDS)
    return view


def changed(current: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """The whole body of the amendment. Raises Failed where nothing is to change."""
    changes = {field: value for name, field in _FIELDS.items() if (value := getattr(args, name)) is not None}
    changes = {field: rfc(value) if isinstance(value, datetime) else value for field, value in changes.items()}
    if not changes and args.length is None:
        raise Failed(USAGE, "expected something to change, got none of the options; see request amend --help")
    body = {name: current[name] for name in RequestBody.model_fields} | changes
    if args.start is None and args.length is None:
        return body
    starts_at, ends_at = (datetime.fromisoformat(current[name]) for name in ("starts_at", "ends_at"))
    length = args.length or ends_at - starts_at
    return body | {"ends_at": rfc(datetime.fromisoformat(body["starts_at"]) + length)}
