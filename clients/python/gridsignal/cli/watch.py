"""`gridsignal watch`: follows what the grid says."""

from __future__ import annotations

import argparse
import asyncio
import select
import sys

import gridsignal
from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments
from gridsignal.cli.connection import add_options, current, exit_code, open_grid, tell
from gridsignal.cli.tables import show

EXAMPLE = """\
examples:
  gridsignal watch prices --zone DE-LU
  gridsignal watch requests --zone DE-LU --zone FR --json
  gridsignal watch carbon --zone DE-LU --once
"""
_STREAMS = {"prices": "prices", "carbon": "carbon", "alerts": "alerts", "requests": "dispatch", "dispatch": "dispatch"}
_ONLY_REQUESTS = (gridsignal.DispatchRequest, gridsignal.RequestCancellation, gridsignal.Gap)
_WORDS = {"zones": "--zone"}
"""What says each field of a subscription."""
_LOOK_S = 0.25


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal watch",
        description="Follow a stream: first what holds now, then everything new.",
        epilog=EXAMPLE,
    )
    told = f"what to follow: {', '.join(_STREAMS)}; dispatch is requests, your orders and what they come to"
    arguments.add_argument("what", choices=tuple(_STREAMS), metavar="STREAM", help=told)
    arguments.add_argument("--zone", action="append", metavar="ZONE", help="only this zone (may be repeated)")
    arguments.add_argument("--once", action="store_true", help="show what holds now and end")
    add_options(arguments, site=False)
    return arguments


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    return exit_code(_once(args) if args.once else _watch(args), args, _WORDS)


async def _once(args: argparse.Namespace) -> int:
    found = [signal for signal in await current(args, _STREAMS[args.what], args.zone) if _wanted(signal, args)]
    for signal in found:
        show(signal, as_json=args.json)
    if not found:
        where = " or ".join(args.zone) if args.zone else "your zones"
        tell(f"no {args.what} in {where} now")
    return OK


async def _watch(args: argparse.Namespace) -> int:
    async with open_grid(args) as grid:
        following = asyncio.create_task(_follow(grid, args))
        closed = asyncio.create_task(_stdout_closed())
        await asyncio.wait([following, closed], return_when=asyncio.FIRST_COMPLETED)
        for task in (following, closed):
            task.cancel()
        if closed.done() and not closed.cancelled():
            raise BrokenPipeError
        await following
    return OK


async def _follow(grid: gridsignal.Grid, args: argparse.Namespace) -> None:
    async for signal in grid.subscribe(_STREAMS[args.what], zones=args.zone):
        if _wanted(signal, args):
            show(signal, as_json=args.json)


async def _stdout_closed() -> None:
    """Returns once nobody reads stdout any more: the next signal, whose write would fail, may be a day away."""
    try:
        written_to = sys.stdout.fileno()
    except OSError:  # a notebook's: it has no reader that could go
        await asyncio.Event().wait()
        return
    pipe = select.poll()
    pipe.register(written_to, 0)  # errors and hang-ups are told without being asked for
    while not pipe.poll(0):  # noqa: ASYNC110 - a pipe sets no event
        await asyncio.sleep(_LOOK_S)


def _wanted(signal: gridsignal.Message, args: argparse.Namespace) -> bool:
    return args.what != "requests" or isinstance(signal, _ONLY_REQUESTS)
