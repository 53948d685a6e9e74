"""What a tenant waits for its answers while somebody beside it does their worst."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.attacks import ATTACKS, attack
from benchmarks.machine import GENERATOR, SERVER, described, percentile, pin
from benchmarks.target import Target, answers
from benchmarks.victim import PROBES, watch
from gridsignal_services.access import DISPATCH_WRITE, OFFER_WRITE, SIGNAL_READ, SIGNAL_WRITE, Role
from gridsignal_services.access.issuer import LocalIssuer

_READY_S, _END_S = 60.0, 30.0
_TOKENS: dict[str, tuple[Role, list[str]]] = {
    "acme-ai": ("participant", [SIGNAL_READ, OFFER_WRITE]),
    "hyper-infer": ("participant", [SIGNAL_READ, OFFER_WRITE]),
    "tso-north": ("operator", [SIGNAL_READ, DISPATCH_WRITE, SIGNAL_WRITE]),
    "supplier-one": ("operator", [SIGNAL_READ, DISPATCH_WRITE, SIGNAL_WRITE]),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One attack, and what the victim's probes met: (asked, unanswered, p50, p99, longest), milliseconds."""

    attack: str
    sent: str
    probes: dict[str, tuple[int, int, float, float, float]]
    rss_mib: float
    """Of the server, at the end of the attack."""
    lives: bool
    """Whether the server's process is still there."""
    ready_again_s: float
    """From the end of a kill -9 after the attack to readiness: what was written comes back at each start."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--attack", action="append", choices=sorted(ATTACKS), help="only these (default: all)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each attack lasts (10)")
    parser.add_argument("--sockets", type=int, default=2000, help="of the attacks that open many (2000)")


def run(args: argparse.Namespace) -> int:
    machine = described()
    pin(GENERATOR)
    rows = [_row(name, args.seconds, args.sockets) for name in args.attack or list(ATTACKS)]
    if args.json:
        print(json.dumps({"machine": machine, "seconds": args.seconds, "rows": [asdict(row) for row in rows]}))
    else:
        _print(machine, args, rows)
    return 0


def _row(name: str, seconds: float, sockets: int) -> Row:
    print(f"  {name} ...", end="\r", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "stack"
        with _up(directory) as (process, target):
            sent, late = _play(name, target, seconds, sockets)
            lives, rss = process.poll() is None, _rss_mib(process.pid)
            if lives:
                process.send_signal(signal.SIGKILL)
                process.wait(_END_S)
        again = _ready_again_s(directory)
        probes = {
            probe: (len(took), unanswered, percentile(took, 0.5), percentile(took, 0.99), max(took, default=0.0))
            for probe, (took, unanswered) in late.items()
        }
    return Row(name, sent, probes, rss, lives, again)


def _ready_again_s(directory: Path) -> float:
    began = time.monotonic()
    try:
        with _up(directory):
            return time.monotonic() - began
    except NotReadyError:
        return float("inf")


# --- the stack under attack -------------------------------------------------------------------------------------


class NotReadyError(Exception):
    """The stack ended, or was not ready in time."""


@contextmanager
def _up(directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], Target]]:
    """`gridsignal up` on one core, ready; ended on leaving."""
    ports = gateway, dispatch, ingest = _free_ports(3)
    # as it ships: no limit is raised
    words = [sys.executable, "-m", "gridsignal", "up", "--directory", str(directory)]
    for option, port in zip(("--gateway-port", "--dispatch-port", "--ingest-port"), ports, strict=False):
        words += [option, str(port)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRIDSIGNAL_")}
    environment |= {"GRIDSIGNAL_LOG_LEVEL": "ERROR", "GRIDSIGNAL_OPS_PORT": "0"}
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=lambda: pin(SERVER)
    )
    try:
        limit = time.monotonic() + _READY_S
        while not all(answers(port) for port in ports):
            if process.poll() is not None or time.monotonic() > limit:
                raise NotReadyError(f"the stack did not become ready (exit {process.poll()})")
            time.sleep(0.1)
        yield process, Target("127.0.0.1", gateway, dispatch, ingest, tokens=_tokens(directory), pid=process.pid)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


def _tokens(directory: Path) -> dict[str, str]:
    issuer, now = LocalIssuer.create_or_open(directory / "issuer"), datetime.now(UTC)
    return {name: issuer.mint(role, name, "neighbours", scopes, 3600, now) for name, (role, scopes) in _TOKENS.items()}


def _rss_mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1])
    except (OSError, IndexError):
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


# --- attacker and victim, each a process ------------------------------------------------------------------------


def _play(name: str, target: Target, seconds: float, sockets: int) -> tuple[str, dict[str, tuple[list[float], int]]]:
    context = get_context("spawn")
    victim_here, victim_there = context.Pipe()
    attack_here, attack_there = context.Pipe()
    processes: list[BaseProcess] = [
        context.Process(target=watch, args=(victim_there, target, seconds)),
        context.Process(target=attack, args=(attack_there, name, target, seconds, sockets)),
    ]
    for process in processes:
        process.start()
    try:
        for pipe in (attack_here, victim_here):  # both have come in before the attack begins
            if not pipe.poll(_READY_S) or pipe.recv() != "ready":
                raise SystemExit(f"{name}: expected attacker and victim to be ready within {_READY_S:g} s")
        for pipe in (victim_here, attack_here):
            pipe.send("go")
        patience = seconds + 2 * _END_S
        late = victim_here.recv() if victim_here.poll(patience) else {}
        sent = attack_here.recv() if attack_here.poll(patience) else "the attacker did not end"
    finally:
        for process in processes:
            process.join(5)
            if process.is_alive():
                process.terminate()
    return str(sent), late


# --- the table --------------------------------------------------------------------------------------------------


def _print(machine: str, args: argparse.Namespace, rows: list[Row]) -> None:
    print(f"{machine}\n`gridsignal up` as it ships on one core, attacker and victim on the other, all from 127.0.0.1;")
    print(
        f"{args.seconds:g} s an attack, {args.sockets} sockets where it opens many; milliseconds from when it was due"
    )
    for probe, meaning in PROBES.items():
        print(f"  {probe:9} {meaning}")
    print("  - not answered within ten seconds; again: ready after kill -9, what was written included\n")
    heads = "".join(f" {probe + ' p50':>14} {'p99':>7} {'-':>4}" for probe in PROBES)
    print(f"{'attack':18}{heads} {'MiB':>6} {'again s':>8}  sent")
    for row in rows:
        cells = "".join(_cell(row.probes.get(probe)) for probe in PROBES)
        life = f"{row.rss_mib:6.0f} {row.ready_again_s:8.1f}" if row.lives else f"{'ENDED':>6} {row.ready_again_s:8.1f}"
        print(f"{row.attack:18}{cells} {life}  {row.sent}")


def _cell(figures: Any) -> str:
    if figures is None:
        return f" {'?':>14} {'?':>7} {'?':>4}"
    _, unanswered, p50, p99, _ = figures
    return f" {p50:14.1f} {p99:7.1f} {unanswered:4}"
