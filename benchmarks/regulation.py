"""Regulation on Kafka: a setpoint from the operator's door to its resource, beside a bare consumer."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import regulation_ends
from benchmarks.kafka_stand import Services, services
from benchmarks.listener import Listener
from benchmarks.machine import cpu_s, cpu_s_of, described, percentile
from benchmarks.regulation_ends import CYCLE_S, Heard, Sent
from gridsignal_schemas.catalog import TOPICS
from tests.journey.fleet import Fleet

_LIMITS = {"GRIDSIGNAL_GATEWAY_ORGANISATION_FILTERS": "10000"}


@dataclass(frozen=True, slots=True)
class Late:
    """One way of sending a cycle; milliseconds from just before the batch was posted."""

    batch: int
    sent: int
    answered: tuple[float, float]
    consumer: tuple[float, float]
    client: tuple[float, float]
    """p50 and p99."""
    missing: int
    repeated_or_reordered: int
    stale: int
    cpu_ms: dict[str, float]
    """CPU of each process for one setpoint; the door's and the gateway's does not depend on who else is at work."""

    @property
    def ratio(self) -> tuple[float, float]:
        """Of the client's to the consumer's."""
        return self.client[0] / self.consumer[0], self.client[1] / self.consumer[1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--resources", type=int, default=1000, help="each with a connection of its own (1000)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each way lasts (30)")
    parser.add_argument(
        "--batch", action="append", type=int, metavar="N", help="orders of a request, spread over the cycle (50, 500)"
    )


def run(args: argparse.Namespace) -> int:
    machine = described()
    with services() as on:
        machine = f"{machine}\n{on.said}"
        found = asyncio.run(_measured(on, args))
    if args.json:
        print(json.dumps({"machine": machine, "ways": [asdict(way) for way in found]}))
        return 0
    print(f"{machine}, load average {os.getloadavg()[0]:.2f} after")
    print(
        "loopback; EMS, door, gateway, broker, clients and consumer are processes that share the cores, none is pinned"
    )
    print(f"{args.resources} resources, one setpoint each in {CYCLE_S} s, {args.seconds:g} s a way after {CYCLE_S} s")
    print("of warming up; from just before the EMS posts a batch, by the clock that all processes share: to its answer")
    print("(all on the log, acks=all), to a bare consumer without a group, and to the resource's WebSocket. The door's")
    print("ledger is filled with orders by hand; all else is as it is served.\n")
    print(f"{'batch':>5} {'sent':>6} {'answered':>9} {'p99 ms':>7} {'consumer':>9} {'p99 ms':>7}", end="")
    print(f" {'client':>7} {'p99 ms':>7} {'ratio p50':>9} {'p99':>6} {'missing':>8} {'reordered':>9} {'stale':>6}")
    for way in found:
        pairs = "".join(
            f" {pair[0]:{width}.1f} {pair[1]:7.1f}"
            for pair, width in ((way.answered, 9), (way.consumer, 9), (way.client, 7))
        )
        print(f"{way.batch:5} {way.sent:6}{pairs} {way.ratio[0]:9.2f} {way.ratio[1]:6.2f}", end="")
        print(f" {way.missing:8} {way.repeated_or_reordered:9} {way.stale:6}")
    print("\nCPU ms for one setpoint")
    print(f"{'batch':>5}" + "".join(f" {name:>9}" for name in found[0].cpu_ms))
    for way in found:
        print(f"{way.batch:5}" + "".join(f" {ms:9.3f}" for ms in way.cpu_ms.values()))
    return 0


async def _measured(on: Services, args: argparse.Namespace) -> list[Late]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with Fleet.sailing(folder, on.brokers, on.registry, 1, _LIMITS, ("gateway-1",)) as fleet:
            topic = f"{fleet.prefix}{TOPICS['regulation'].name}"
            tokens = {name: fleet.token("participant", name) for name in regulation_ends.PARTICIPANTS}
            door = Listener(
                regulation_ends.door, on.brokers.servers, on.registry, fleet.prefix, str(folder), args.resources
            )
            clients = Listener(regulation_ends.clients, fleet.port("gateway-1"), tokens, args.resources)
            consumer = Listener(regulation_ends.consumer, on.brokers.servers, topic, on.registry, fleet.prefix)
            try:
                port = await door.answer()
                for listener in (clients, consumer):
                    await listener.answer()  # it is ready
                desk = regulation_ends.Desk(f"http://127.0.0.1:{port}", fleet.token("operator", "tso-north"))

                def cpu() -> dict[str, float]:
                    gateway = cpu_s_of(fleet.doors["gateway-1"].process.pid)
                    return {"EMS": cpu_s(), "door": door.cpu_s, "gateway": gateway, "clients": clients.cpu_s}

                return [await _way(desk, clients, consumer, cpu, args, batch) for batch in args.batch or [50, 500]]
            finally:
                for listener in (clients, consumer, door):
                    listener.end()


async def _way(
    desk: regulation_ends.Desk,
    clients: Listener,
    consumer: Listener,
    cpu: Callable[[], dict[str, float]],
    args: argparse.Namespace,
    batch: int,
) -> Late:
    await desk.regulate(args.resources, batch, CYCLE_S)
    for listener in (clients, consumer):
        await listener.asked(args.resources)
    before = cpu()
    sent: Sent = await desk.regulate(args.resources, batch, args.seconds)
    at_clients: Heard = await clients.asked(len(sent.began_ms))
    spent = {name: 1000 * (used_s - before[name]) / len(sent.began_ms) for name, used_s in cpu().items()}
    at_consumer: Heard = await consumer.asked(len(sent.began_ms))
    late = [_late(sent, heard) for heard in (at_consumer, at_clients)]
    return Late(
        batch,
        len(sent.began_ms),
        _pair(sent.answered_ms),
        _pair(late[0]),
        _pair(late[1]),
        missing=len(sent.began_ms) - len(late[1]),
        repeated_or_reordered=at_clients.reordered,
        stale=at_clients.stale,
        cpu_ms=spent,
    )


def _late(sent: Sent, heard: Heard) -> list[float]:
    return [at_ms - sent.began_ms[what] for what, at_ms in heard.at_ms.items() if what in sent.began_ms]


def _pair(late_ms: list[float]) -> tuple[float, float]:
    found = sorted(late_ms)
    return percentile(found, 0.5), percentile(found, 0.99)
