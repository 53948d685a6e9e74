"""`gridsignal watch`: follows what the grid says."""

from __future__ import annotations

import argparse

import gridsignal
from gridsignal.__main__ import OK
from gridsignal.cli.connection import add_options, current, exit_code, open_grid
from gridsignal.cli.tables import show

EXAMPLE = """\
examples:
  gridsignal watch prices --zone DE-LU
  gridsignal watch requests --zone DE-LU --zone FR --json
  gridsignal watch carbon --zone DE-LU --once
"""
_STREAMS = {"prices": "prices", "carbon": "carbon", "alerts": "alerts", "requests": "dispatch", "dispatch": "dispatch"}
_ONLY_REQUESTS = (gridsignal.DispatchRequest, gridsignal.RequestCancellation, gridsignal.Gap)


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    arguments = argparse.ArgumentParser(
        prog="gridsignal watch",
        description="Follow a stream: first what holds now, then everything new.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("what", choices=tuple(_STREAMS), help="what to follow; dispatch is requests and your orders")
    arguments.add_argument("--zone", action="append", metavar="ZONE", help="only this zone (may be repeated)")
    arguments.add_argument("--once", action="store_true", help="show what holds now and end")
    add_options(arguments, site=False)
    return arguments


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_watch(args))


async def _watch(args: argparse.Namespace) -> int:
    stream = _STREAMS[args.what]
    async with open_grid(args) as grid:
        if args.once:
            for signal in await current(grid, stream, args.zone):
                _show(signal, args)
            return OK
        async for signal in grid.subscribe(stream, zones=args.zone):
            _show(signal, args)
    return OK


def _show(signal: gridsignal.Message, args: argparse.Namespace) -> None:
    if args.what != "requests" or isinstance(signal, _ONLY_REQUESTS):
        show(signal, as_json=args.json)
