"""`python -m benchmarks NAME`: measures one thing; without a name it lists them."""

from __future__ import annotations

import argparse
import sys
from types import ModuleType

from benchmarks import (
    clearing,
    coldstart,
    console,
    entsoe,
    fanout,
    fuzz,
    grid,
    kafka,
    neighbours,
    offers,
    over,
    regulation,
    screenshots,
    settlement,
)

_BENCHMARKS: dict[str, ModuleType] = {
    "fanout": fanout,
    "offers": offers,
    "neighbours": neighbours,
    "kafka": kafka,
    "entsoe": entsoe,
    "fuzz": fuzz,
    "over": over,
    "coldstart": coldstart,
    "settlement": settlement,
    "regulation": regulation,
    "grid": grid,
    "clearing": clearing,
    "console": console,
    "screenshots": screenshots,
}


def main() -> int:
    """Runs one benchmark; without a name, lists them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What one CPU carries.")
    names = parser.add_subparsers(dest="name", title="benchmarks")
    for name, module in _BENCHMARKS.items():
        summary = (module.__doc__ or "").strip()
        chosen = names.add_parser(name, help=summary, description=summary)
        chosen.add_argument("--json", action="store_true", help="one object on stdout")
        module.add_arguments(chosen)
    args = parser.parse_args()
    if args.name is None:
        parser.print_help()
        return 0
    return int(_BENCHMARKS[args.name].run(args))


if __name__ == "__main__":
    sys.exit(main())
