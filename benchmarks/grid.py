"""Random days of sites in areas, simulated from outside: does any area leave its limits if orders are obeyed?"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from benchmarks.grid_day import GridDay
from benchmarks.grid_plant import Plants

_TOLERANCE = 0.01
"""Of a limit: the noise of the plants."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=2000, help="random days (2000)")
    parser.add_argument("--seconds", type=float, default=120, help="no further day is begun after so long (120)")
    parser.add_argument("--seed", type=int, default=1, help="of all chance (1)")


def run(args: argparse.Namespace) -> int:
    said, began = dict[str, Any](days=0, orders=0, passed_over=0, refused=0, tripped=0, violations=[]), time.monotonic()
    said |= {"staggered": 0, "nearest": 0.0}
    for seed in range(args.seed, args.seed + args.days):
        if time.monotonic() - began > args.seconds:
            break
        _one(seed, said)
    said["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(said) if args.json else _text(said))
    return 1 if said["violations"] else 0


def _one(seed: int, said: dict[str, Any]) -> None:
    day = GridDay(seed)
    day.play()
    said["days"] += 1
    for name, count in day.counts().items():
        said[name] += count
    plants = Plants(day)
    for area in day.areas:
        for limit, reached, most in plants.reached(area):
            said["nearest"] = max(said["nearest"], round(reached / most, 3))
            if reached > most * (1 + _TOLERANCE):
                said["violations"].append({"seed": seed, "area": area.area, "limit": limit, "at": reached / most})


def _text(said: dict[str, Any]) -> str:
    lines = [
        f"{said['days']} random days in {said['seconds']} s: {said['orders']} orders obeyed,"
        f" {said['staggered']} of them staggered; {said['passed_over']} offers passed over for an area",
        f"{said['refused']} orders refused or unanswered, {said['tripped']} sites tripped",
        f"the nearest that an area came to a limit: {said['nearest']:.1%}",
        f"violations: {len(said['violations'])}",
    ]
    return "\n".join([*lines, *map(str, said["violations"])])
