"""`gridsignal whoami`: whose token this is, and whether the gateway takes it."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from gridsignal.__main__ import OK
from gridsignal.claims import claims_of
from gridsignal.cli.arguments import Arguments
from gridsignal.cli.connection import add_options, bearer, exit_code, open_grid
from gridsignal.cli.tables import printable, when
from gridsignal_schemas.values import rfc3339

EXAMPLE = """\
examples:
  gridsignal whoami
  gridsignal whoami --token-file acme.token --json
"""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal whoami",
        description="Say whose token this is and until when, and ask the gateway whether it takes it.",
        epilog=EXAMPLE,
    )
    add_options(arguments, site=False)
    return arguments


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_whoami(args), args)


async def _whoami(args: argparse.Namespace) -> int:
    async with open_grid(args) as grid:
        await grid.ping()
    claims = claims_of(bearer(args.token_file))
    known = {
        "organisation": claims.get("org"),
        "role": claims.get("role"),
        "subject": claims.get("sub"),
        "scopes": claims.get("scope"),
        "expires_at": _moment(claims.get("exp")),
        "issuer": claims.get("iss"),
        "gateway": args.url,
    }
    if not args.json and isinstance(known["expires_at"], str):
        known["expires_at"] = when(datetime.fromisoformat(known["expires_at"]), "")
    shown = {name: value for name, value in known.items() if value is not None}
    if args.json:
        print(json.dumps(shown))
    else:
        for name, value in shown.items():
            print(printable(f"{name:<14}{value}"))
    return OK


def _moment(seconds: Any) -> str | None:
    if not isinstance(seconds, int):
        return None
    return rfc3339(datetime.fromtimestamp(seconds, UTC))
