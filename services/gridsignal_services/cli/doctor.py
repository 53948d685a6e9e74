"""`gridsignal doctor`: looks at the machine and the settings of a stack, and says what to do. It changes nothing."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gridsignal.__main__ import FAILED, OK
from gridsignal.cli.arguments import Arguments, port
from gridsignal.cli.tables import printable
from gridsignal_services.cli.failing import REPORTED, failed
from gridsignal_services.cli.looking import findings
from gridsignal_services.diagnosis import Finding, State
from gridsignal_services.settings import ServerSettings

EXAMPLE = """\
examples:
  gridsignal doctor
  gridsignal doctor --directory /var/lib/gridsignal --json
  gridsignal doctor --server-name grid.example.com

It reads the settings of the stack from the environment, as `gridsignal up` and `gridsignal serve` do; run it as their
user, beside them or before the first start.
Exit codes: 0 nothing is wrong (warnings are told), 1 something is, 2 the settings can't be used.
"""
_MARK = {State.OK: "ok", State.WARNING: "warning", State.WRONG: "WRONG"}
_CHECK, _STATE = (max(map(len, words)) for words in (("schema registry",), _MARK.values()))


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal doctor",
        description="Look at clock, disk, file modes, certificate, issuer, ports, doors, feeds and limits, and say what"
        " to do. Nothing is changed.",
        epilog=EXAMPLE,
    )
    arguments.add_argument("--directory", type=Path, metavar="DIR", help="the stack's (default: gridsignal-data)")
    ops_port = "where /metrics is read (default: 1000 above the door's port)"
    arguments.add_argument("--ops-port", type=port, metavar="PORT", help=ops_port)
    arguments.add_argument("--server-name", metavar="NAME", help="the name by which clients reach the doors")
    arguments.add_argument("--json", action="store_true", help="one JSON object a line")
    return arguments


def run(args: argparse.Namespace) -> int:
    """0 where nothing is wrong, 1 where something is, 2 where the settings can't be used."""
    try:
        settings = ServerSettings.from_environment(os.environ, directory=args.directory, ops_port=args.ops_port)
        found = list(findings(settings, os.environ, args.server_name))
    except REPORTED as error:
        return failed("doctor", error)
    for finding in found:
        print(json.dumps(asdict(finding)) if args.json else "\n".join(_lines(finding)))
    return FAILED if any(finding.state is State.WRONG for finding in found) else OK


def _lines(finding: Finding) -> Sequence[str]:
    line = f"{_MARK[finding.state]:<{_STATE}}  {finding.check:<{_CHECK}}  {printable(finding.found)}"
    return [line, f"{'':{_STATE + _CHECK + 4}}-> {printable(finding.todo)}"] if finding.todo else [line]
