"""`gridsignal check-config`: says everything that is wrong with a registry file, or what it holds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gridsignal.__main__ import OK, USAGE
from gridsignal.cli.arguments import Arguments
from gridsignal_services.registry import Registry
from gridsignal_services.settings import ConfigError

EXAMPLE = "example:\n  gridsignal check-config sites.toml"


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal check-config",
        description="Check a registry file: zones, operators, participants and their connection points.",
        epilog=EXAMPLE,
    )
    arguments.add_argument("file", type=Path, metavar="FILE")
    arguments.add_argument("--json", action="store_true", help="counts as one JSON object")
    return arguments


def run(args: argparse.Namespace) -> int:
    """0 when the file is good, 2 when it is not."""
    try:
        registry = Registry.load(args.file)
    except ConfigError as error:
        print("\n".join(error.faults), file=sys.stderr)
        return USAGE
    counts = {name: len(getattr(registry, name)) for name in ("zones", "operators", "participants", "sites")}
    warnings = registry.warnings()
    for warning in () if args.json else warnings:
        print(f"warning: {warning}", file=sys.stderr)
    answer: dict[str, object] = counts | {"warnings": warnings}
    print(json.dumps(answer) if args.json else f"{args.file}: {', '.join(f'{n} {name}' for name, n in counts.items())}")
    return OK
