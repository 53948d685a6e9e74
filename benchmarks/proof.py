"""What heads cost offers, and how long a proof takes under a large tree."""

from __future__ import annotations

import random
import time
from hashlib import sha256
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import cpu_s
from benchmarks.offers import driven, frames_of_offers
from benchmarks.servers import NOON, example
from gridsignal_schemas.messages import FlexOffer
from gridsignal_services.access.signer import Signer
from gridsignal_services.audit.subtrees import Subtrees
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import headers_of
from gridsignal_services.clock import micros
from gridsignal_services.ledger.tree import RECENT, Tree, leaf_of
from gridsignal_services.merkle import Frontier, inclusion_path, is_included
from gridsignal_services.tree_heads import signed_head

_IN_FLIGHT = 64
_EVERY_S = 1.0
"""As often as after a clearing; without one a head is written each minute."""
_AT_ONCE = 65_536
_PROOFS = 200
_RECORDS, _HEADS = 20_000, 50


def heads_beside_offers(directory: Path, count: int, repeat: int) -> dict[str, Any]:
    """The same offers, in turns with a head a second and without."""
    runs = [
        [driven(frames_of_offers(count), _IN_FLIGHT, FlexOffer.__name__, every_s) for every_s in (0.0, _EVERY_S)]
        for _ in range(repeat)
    ]
    without, with_heads = zip(*runs, strict=True)
    said = {
        name: {"per_s": median(run.offers[0] for run in some), "server_us": median(run.server_us for run in some)}
        for name, some in (("without", without), ("with", with_heads))
    }
    return said | {"share": said["with"]["server_us"] / said["without"]["server_us"] - 1} | _of_the_tree(directory)


def _of_the_tree(directory: Path) -> dict[str, float]:
    """What the tree alone takes: for each record, and for a head, which is made once and checked by each process."""
    offer, signer, tree = example(FlexOffer), Signer.create_or_open(directory), Tree()
    headers = headers_of(offer, principal="participant:acme-ai", source="/benchmark")
    logged = LogRecord("dispatch", 0, 0, offer.zone, Codec.from_lock().encode(offer), micros(NOON), headers)
    began_s = cpu_s()
    for _ in range(_RECORDS):
        tree.append(leaf_of(logged))
    record_us = 1e6 * (cpu_s() - began_s) / _RECORDS
    began_s = cpu_s()
    for _ in range(_HEADS):
        head = signed_head(0, tree.size, tree.root(), log="benchmark", signed_at=NOON, signer=signer)
        assert tree.fault_of(head, 0) is None
        for _ in range(RECENT):
            tree.append(leaf_of(logged))
    head_us = 1e6 * (cpu_s() - began_s) / _HEADS - RECENT * record_us
    return {"record_us": record_us, "head_ms": head_us / 1000}


def proofs(folder: Path, leaves: int) -> dict[str, Any]:
    """Of records anywhere under a tree of so many leaves, each from the files alone; beside it the tree hashed anew."""
    subtrees, hashes = Subtrees(folder, 0), (sha256(number.to_bytes(8, "big")).digest() for number in range(leaves))
    while some := list(islice(hashes, _AT_ONCE)):
        subtrees.append(some)
        subtrees.write()
    root, chance, took = subtrees.root(leaves), random.Random(1), []
    for _ in range(_PROOFS):
        index = chance.randrange(leaves)
        began_s = time.perf_counter()
        kept = Subtrees(folder, 0)
        leaf, path = kept.leaf(index), inclusion_path(index, leaves, kept.full)
        took.append(1000 * (time.perf_counter() - began_s))
        assert is_included(leaf, index, leaves, path, root)
    began_s, tree = time.perf_counter(), Frontier()
    for leaf in subtrees.leaves():
        tree.append(leaf)
    assert tree.root() == root
    return {
        "leaves": leaves,
        "median_ms": median(took),
        "most_ms": max(took),
        "hashed_anew_ms": 1000 * (time.perf_counter() - began_s),
        "bytes_per_leaf": sum(file.stat().st_size for file in folder.iterdir()) / leaves,
    }
