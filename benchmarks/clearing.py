"""A request's clearing with thousands of offers, in merit order and by the solver, beside a bare sort and the bound."""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from benchmarks.machine import cpu_s, described
from gridsignal_schemas.messages import OfferOption
from gridsignal_schemas.values import MW
from gridsignal_services.joint.program import Program, Solution
from gridsignal_services.owning.best import Solver
from gridsignal_services.owning.due import Undecided, due_records, next_undecided
from gridsignal_services.owning.solver import solver_of
from tests.builders import an_option
from tests.unit.ledger.market import Market

_OF_SITE = 8
"""Offers."""
_HOURS = 0.75
_GOALS_S = {4000: 1.0, 10_000: 3.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", action="append", type=int, metavar="N", help="offers of a request (4000, 10000)")
    parser.add_argument("--limit", type=int, default=1, metavar="SECONDS", help="of the solver (1, as a door has it)")
    parser.add_argument("--seed", type=int, default=1, help="of all chance (1)")


def run(args: argparse.Namespace) -> int:
    if (solver := solver_of(args.limit)) is None:
        print("it needs HiGHS: pip install '.[solver]'")
        return 2
    machine = described()
    solver.solve(Program(), 1)  # a door loads HiGHS once
    rows = [_run(offers, solver, args.seed) for offers in args.offers or _GOALS_S]
    print(json.dumps({"machine": machine, "runs": rows}) if args.json else "\n".join([machine, *map(_text, rows)]))
    return 0


def _run(offers: int, solver: Solver, seed: int) -> dict[str, Any]:
    market, options = _market(offers, seed)
    undecided = next_undecided(market.ledger, market.request.gate_closure_at)
    assert undecided is not None
    solving = list[float]()

    def solve(program: Program, limit_s: float) -> Solution:
        since = time.perf_counter()
        try:
            return solver.solve(program, limit_s)
        finally:
            solving.append(time.perf_counter() - since)

    cheapest, sort_s, _ = _timed(lambda: sorted(options, key=lambda option: option.price_per_mwh))
    found = {}
    for name, by in (("merit_order", None), ("solver", Solver(solve, solver.limit_s))):
        found[name] = _told(market, undecided, by)
    bound = _bound(cheapest, market.request.power_w)
    return {
        "offers": offers,
        "sort_ms": round(sort_s * 1e3, 2),
        "bound": round(bound, 2),
        "goal_s": _GOALS_S.get(offers),
        "solving_s": round(sum(solving), 3),
        **found,
    }


def _market(offers: int, seed: int) -> tuple[Market, list[OfferOption]]:
    """Sites with eight offers each: two of five can only be taken whole, one of five has two options."""
    chance, made = random.Random(seed), list[OfferOption]()
    names = [f"s{number}" for number in range(-(-offers // _OF_SITE))]
    market = Market(*names, power_w=offers * MW // 20, min_quantity_w=0)
    for number in range(offers):
        who, kind = names[number // _OF_SITE], chance.random()
        fields = {"ramp_down_w_per_min": 20 * MW, "ramp_up_w_per_min": 20 * MW}
        options = []
        for option in ("all", "half")[: 1 + (kind > 0.8)]:
            power_w = chance.randint(50, 2000) * 1000
            price = Decimal(chance.randint(3000, 15_000)) / 100
            floor_w = power_w // 2 if kind > 0.6 else 0
            more = fields | {"divisible": kind >= 0.4, "min_power_w": floor_w, "option": option}
            options.append(an_option(power_w=power_w, price_per_mwh=price, **more))
        made += options
        assert market.offer(who, offer_id=f"o{number}", options=options).accepted
    market.now = market.request.gate_closure_at
    for record in due_records(market.ledger, market.now):  # the gate closes, and nothing is decided yet
        market.add(record)
    return market, made


def _told(market: Market, undecided: Undecided, solver: Solver | None) -> dict[str, Any]:
    clearing, took_s, cpu = _timed(lambda: undecided.decided(market.ledger.book, solver=solver))
    awarded = sum(award.power_w for award in clearing.awards)
    cost = sum(float(award.price_per_mwh) * award.power_w / MW * _HOURS for award in clearing.awards)
    return {
        "s": round(took_s, 3),
        "cpu_s": round(cpu, 3),
        "algorithm": clearing.algorithm,
        "awards": len(clearing.awards),
        "lacking_w": market.request.power_w - awarded,
        "cost": round(cost, 2),
        "gap": None if clearing.gap is None else float(clearing.gap),
    }


def _timed(make: Callable[[], Any]) -> tuple[Any, float, float]:
    since, began = time.perf_counter(), cpu_s()
    made = make()
    return made, time.perf_counter() - since, cpu_s() - began


def _bound(cheapest: list[OfferOption], wanted_w: int) -> float:
    """What it would cost at least if every option could be divided and nothing excluded anything."""
    cost, left_w = 0.0, wanted_w
    for option in cheapest:
        power_w = min(left_w, option.power_w)
        cost, left_w = cost + float(option.price_per_mwh) * power_w / MW * _HOURS, left_w - power_w
    return cost


def _text(row: dict[str, Any]) -> str:
    lines = [
        f"{row['offers']:,} offers: a bare sort {row['sort_ms']} ms, no choice costs less than {row['bound']:,.2f}"
    ]
    for name in ("merit_order", "solver"):
        each = row[name]
        above = each["cost"] / row["bound"] - 1
        lines.append(
            f"  {name:<12} {each['s']:.2f} s ({each['cpu_s']:.2f} s CPU), {each['algorithm']}, {each['awards']} awards,"
            f" {each['lacking_w']} W lacking, {each['cost']:,.2f}: {above:.3%} above the bound, gap {each['gap']}"
        )
    if row["goal_s"] is not None:
        lines.append(f"  goal: {row['goal_s']:g} s; the solver alone took {row['solving_s']} s")
    return "\n".join(lines)
