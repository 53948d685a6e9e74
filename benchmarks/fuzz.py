"""Mutated bodies of every feed: none may crash, hang, or come out as overlapping or unpublishable intervals."""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from benchmarks.machine import described
from gridsignal_schemas.messages import CarbonIntensity, Record, SpotPrice
from gridsignal_services.bus.codec import Codec
from gridsignal_services.ingest.feed import Ask, FeedAnswer, FeedError, read
from gridsignal_services.ingest.intake import Intake
from gridsignal_services.ingest.providers import PROVIDERS
from tests.feed_documents import one_of_each

NOW = datetime(2026, 11, 1, tzinfo=UTC)
HANGS_S = 5.0
_FOLDERS = {
    "entsoe": ("entsoe", "entsoe_errors"),
    "energy_charts": ("energy_charts",),
    "gb_carbon": ("uk_carbon_intensity",),
    "electricitymaps": ("electricitymaps",),
    "watttime": ("watttime",),
    "aemo": ("aemo",),
    "openadr3": ("openadr3",),
    "us_emergency": ("pjm",),
}
_TOKENS = (
    b"<", b">", b"</", b"&", b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"NaN", b"-1", b"0",
    b"99999999999999999999", b"1e999", b"-0.0", b"9999-12-31T23:59Z", b"0001-01-01", b"P9999Y", b"PT0S", b"PT1S",
    b"A01", b"A03", b"24:00", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"PK\x03\x04",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bodies", type=int, default=100_000, help="how many (100000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same bodies (1)")


def run(args: argparse.Namespace) -> int:
    seeds = bodies()
    machine = described()
    begin = time.perf_counter()
    outcomes, faults, slowest_s = fuzzed(seeds, args.bodies, args.seed)
    took_s = time.perf_counter() - begin
    found = {
        "machine": machine,
        "seeds": sum(map(len, seeds.values())),
        "bodies": args.bodies,
        "seconds": round(took_s, 1),
        "slowest_s": round(slowest_s, 3),
        "outcomes": dict(outcomes.most_common()),
        "faults": faults[:20],
    }
    if args.json:
        print(json.dumps(found))
    else:
        print(machine)
        print("\n".join(f"{key:<10} {value}" for key, value in found.items() if key != "machine"))
    return 1 if faults else 0


def bodies() -> dict[str, list[bytes]]:
    """What is mutated: our own answers of every feed, and the recorded ones where GRIDSIGNAL_SAMPLES names them."""
    found = one_of_each()
    samples = os.environ.get("GRIDSIGNAL_SAMPLES")
    for provider, folders in _FOLDERS.items() if samples else ():
        for folder in folders:
            files = sorted(path for path in (Path(samples or "") / folder).iterdir() if path.stat().st_size < 50_000)
            found[provider] += [path.read_bytes() for path in files if path.suffix != ".yaml"]
    return found


def fuzzed(seeds: Mapping[str, list[bytes]], count: int, seed: int) -> tuple[Counter[str], list[str], float]:
    """Outcomes of `count` mutated bodies, what went wrong, and the longest time one took."""
    dice = random.Random(seed)
    codec, outcomes, faults, slowest_s = Codec.from_lock(), Counter[str](), list[str](), 0.0
    names = sorted(seeds)
    for n in range(count):
        provider = names[n % len(names)]
        body = mutated(dice.choice(seeds[provider]), dice)
        begin = time.perf_counter()
        try:
            records = read(
                PROVIDERS[provider], FeedAnswer(body), Ask(zone=dice.choice((None, "DE-LU")), signal=None, now=NOW)
            )
            outcomes["figures" if records else "nothing"] += 1
            faults += [f"{provider} body {n}: {fault}" for fault in broken_laws(records, codec)]
        except FeedError as refusal:
            outcomes[type(refusal).__name__] += 1
        except Exception as crash:  # whatever it is, it is what we look for
            faults.append(f"{provider} body {n}: {type(crash).__name__}: {crash!s:.200}")
        took_s = time.perf_counter() - begin
        slowest_s = max(slowest_s, took_s)
        if took_s > HANGS_S:
            faults.append(f"{provider} body {n}: took {took_s:.1f} s")
    return outcomes, faults, slowest_s


def _ask(provider: str, dice: random.Random) -> Ask:
    zone = "DE-LU" if not PROVIDERS[provider].names_zone else dice.choice((None, "BE", "GB", "AU-NSW"))
    return Ask(zone=zone, signal=None, now=NOW)


def mutated(body: bytes, dice: random.Random) -> bytes:
    """One to four changes: bytes, digits, tokens, pieces left out, told twice or moved, an end cut off."""
    changed = bytearray(body)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at, length = dice.randrange(len(changed) + 1), dice.choice((1, 2, 8, 40, 300))
        match dice.choice((0, 1, 1, 1, 1, 2, 3, 4, 5, 6)):
            case 0 if at < len(changed):
                changed[at] = dice.randrange(256)
            case 1:
                _change_a_digit(changed, at, dice)
            case 2:
                changed[at:at] = dice.choice(_TOKENS)
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = changed[at : at + length]
            case 5:
                piece = changed[at : at + length]
                del changed[at : at + length]
                other = dice.randrange(len(changed) + 1)
                changed[other:other] = piece
            case 6 if dice.random() < 0.2:
                del changed[at:]
    return bytes(changed)


def _change_a_digit(body: bytearray, near: int, dice: random.Random) -> None:
    for at in range(near, min(len(body), near + 200)):
        if chr(body[at]).isdigit():
            body[at] = ord(str(dice.randrange(10)))
            return


def broken_laws(records: list[Record], codec: Codec) -> Iterator[str]:
    """What no answer may come out as, whatever the bytes were."""
    intake = Intake()
    kinds: dict[object, list[SpotPrice | CarbonIntensity]] = {}
    for record in records:
        verdict = intake.judge(record, None, NOW)
        if codec.decode(codec.encode(record)) != record:
            yield f"a {record.record_name} ({type(verdict).__name__}) does not survive the log"
        if isinstance(record, SpotPrice | CarbonIntensity):
            kinds.setdefault(_kind(record), []).append(record)
    for series in kinds.values():
        series.sort(key=lambda record: record.starts_at)
        for before, after in pairwise(series):
            if after.starts_at < before.ends_at:
                yield f"two series of {before.dataset} overlap at {after.starts_at}"
        for record in series:
            if record.starts_at.utcoffset() or any(b[0] != a[1] for a, b in pairwise(record.intervals())):
                yield f"{record.dataset} is not contiguous in UTC"


def _kind(record: SpotPrice | CarbonIntensity) -> object:
    if isinstance(record, SpotPrice):
        return record.zone, record.product, record.dataset, record.currency
    vintage = record.issued_at if record.status == "FORECAST" else None
    return record.zone, record.accounting, record.scope, record.mix, record.dataset, vintage
