"""Kafka: offers received durably beside a bare producer, log to socket beside a bare consumer."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from dataclasses import asdict

from benchmarks import kafka_latency, kafka_offers
from benchmarks.kafka_latency import Late, median_and_p99
from benchmarks.kafka_offers import Row
from benchmarks.kafka_stand import Services, services, standing
from benchmarks.machine import described


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--in-flight", action="append", type=int, metavar="N", help="unanswered at once (1, 16, 64)")
    parser.add_argument("--count", type=int, default=1500, help="offers of each turn (1500)")
    parser.add_argument("--repeat", type=int, default=3, help="medians of so many turns (3)")
    parser.add_argument("--rate", action="append", type=float, metavar="R", help="prices a second (20, 200)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each rate lasts (10)")


def run(args: argparse.Namespace) -> int:
    machine = described()
    with services() as on:
        machine = f"{machine}\n{on.said}"
        late, rows = asyncio.run(_measure(on, args))
    if args.json:
        print(json.dumps(_object(machine, late, rows)))
        return 0
    print(f"{machine}, load average {os.getloadavg()[0]:.2f} after")
    print("loopback; client, gateway, dispatch door and broker are processes that share the cores, none is pinned\n")
    _print_offers(args, rows)
    _print_latency(args, late)
    return 0


async def _measure(on: Services, args: argparse.Namespace) -> tuple[dict[float, Late], list[Row]]:
    async with standing(on) as stand:
        rates = args.rate or [20.0, 200.0]
        late = {rate: await kafka_latency.measured(stand, on.registry, rate, args.seconds) for rate in rates}
        return late, await kafka_offers.measured(stand, args.in_flight or [1, 16, 64], args.count, args.repeat)


def _object(machine: str, late: dict[float, Late], rows: list[Row]) -> dict[str, object]:
    latency = [
        {"rate_per_s": rate} | {name: median_and_p99(values) for name, values in asdict(run).items()}
        for rate, run in late.items()
    ]
    return {"machine": machine, "offers": [asdict(row) for row in rows], "latency_p50_p99_ms": latency}


def _print_offers(args: argparse.Namespace, rows: list[Row]) -> None:
    print(f"offers: one connection, {args.count} on one open request a turn, medians of {args.repeat} turns each;")
    print("received = acknowledged by the broker (acks=all, flush.messages=1), read back, reduced and answered;")
    print("decided = its decision is on the log, too; bare = a producer in the client's process with the gateway's")
    print("settings, the same values and headers, on a topic with the same settings that nobody reads; in turns\n")
    print(f"{'in flight':>9} {'received/s':>10} {'p50':>7} {'p99 ms':>7} {'decided/s':>9}", end="")
    print(f" {'bare/s':>7} {'p50':>7} {'p99 ms':>7} {'ratio':>6}")
    for row in rows:
        offers, bare = row.offers.figures, row.bare.figures
        line = f"{row.in_flight:9} {offers[0]:10.0f} {offers[1]:7.2f} {offers[2]:7.2f}"
        print(
            f"{line} {row.offers.decided_per_s or 0:9.0f} {bare[0]:7.0f} {bare[1]:7.2f} {bare[2]:7.2f} {row.ratio:6.2f}"
        )
    print("\nCPU ms for one offer, to its decision")
    print(f"{'in flight':>9} {'way':8}" + "".join(f" {name:>9}" for name in rows[0].offers.cpu_ms) + f" {'all':>9}")
    for row in rows:
        for way, turn in (("offers", row.offers), ("bare", row.bare)):
            spent = [*turn.cpu_ms.values(), sum(turn.cpu_ms.values())]
            print(f"{row.in_flight:9} {way:8}" + "".join(f" {ms:9.3f}" for ms in spent))


def _print_latency(args: argparse.Namespace, late: dict[float, Late]) -> None:
    print(f"\nlog to socket: prices, {args.seconds:g} s a rate; from just before the send, by the clock that all")
    print("processes share; the same records at one WebSocket client, at a bare consumer without a group (its own")
    print("defaults) and at their producer as acknowledgements (acks=all), each in a process of its own\n")
    print(f"{'prices/s':>8} {'acknowledged':>12} {'p99 ms':>7} {'consumer':>9} {'p99 ms':>7}", end="")
    print(f" {'socket':>7} {'p99 ms':>7} {'ratio p50':>9} {'p99':>6}")
    for rate, run in late.items():
        figures = [median_and_p99(values) for values in (run.acknowledged, run.consumer, run.socket)]
        pairs = "".join(f" {p50:{width}.2f} {p99:7.2f}" for (p50, p99), width in zip(figures, (12, 9, 7), strict=True))
        (_, consumer, socket) = figures
        print(f"{rate:8g}{pairs} {socket[0] / consumer[0]:9.2f} {socket[1] / consumer[1]:6.2f}")
