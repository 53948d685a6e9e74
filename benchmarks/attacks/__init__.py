"""What a careless or hostile neighbour does: each within the limits it is given, or without a token at all."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.attacks import questions, requests, sockets, storms, writes
from benchmarks.attacks.play import Play
from benchmarks.machine import GENERATOR, pin
from benchmarks.target import Target

ATTACKS: dict[str, Callable[[Play], Coroutine[Any, Any, str]]] = {
    "quiet": writes.quiet,
    "tiny-offers": writes.tiny_offers,
    "costly-offers": writes.costly_offers,
    "lost-offers": writes.lost_offers,
    "amendments": writes.amendments,
    "withdrawals": writes.withdrawals,
    "baselines": writes.baselines,
    "readings": writes.readings,
    "broken-writes": questions.broken_writes,
    "long-queries": questions.long_queries,
    "many-filters": questions.many_filters,
    "pushes": questions.pushes,
    "wide-questions": questions.wide_questions,
    "long-lists": questions.long_lists,
    "same-keys": questions.same_keys,
    "states": storms.states,
    "siblings": storms.siblings,
    "pongs": sockets.pongs,
    "fragments": sockets.fragments,
    "idle-sockets": sockets.idle_sockets,
    "half-headers": sockets.half_headers,
    "silent-upgrades": sockets.silent_upgrades,
    "junk-handshakes": sockets.junk_handshakes,
    "idle-at-the-desk": sockets.idle_at_the_desk,
    "never-reading": sockets.never_reading,
    "idle-at-ingest": sockets.idle_at_ingest,
    "tiny-chunks": requests.tiny_chunks,
    "tenant-chunks": requests.tiny_chunks_of_a_tenant,
    "header-lines": requests.empty_header_lines,
    "bad-tokens": requests.bad_tokens,
    "descriptions": requests.descriptions,
    "never-waiting": requests.never_waiting,
}


def attack(pipe: Connection, name: str, target: Target, seconds: float, sockets: int) -> None:
    """Plays one attack and sends what it amounted to. The attacker yields the core to the victim."""
    pin(GENERATOR)
    os.nice(19)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pipe.send(asyncio.run(ATTACKS[name](Play(pipe, target, seconds, sockets))))
