"""Look-ups in the contract: which topic carries what, which partition holds a zone, what a schema says.

Bounded: everything here is read once from files that ship with the package.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from gridsignal_schemas.records import ROWS

_HERE = files("gridsignal_schemas")


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as topics.toml and records.toml describe it; `stream` is also the name data centers subscribe to."""

    stream: str
    name: str
    records: tuple[str, ...]
    partitions: int
    retention_days: int
    subscribable: bool
    conflates: bool
    flush_every_message: bool

    @property
    def is_public(self) -> bool:
        """Whether whoever is entitled to a zone is sent all of it that is about the zone."""
        return all(ROWS[record].seen_by == "zone" for record in self.records)


def _topics() -> dict[str, Topic]:
    table = tomllib.loads(_HERE.joinpath("topics.toml").read_text("utf-8"))
    return {
        stream: Topic(
            stream=stream,
            name=row["name"],
            records=tuple(name for name, record in ROWS.items() if record.stream == stream),
            partitions=row["partitions"],
            retention_days=row["retention_days"],
            subscribable=row["subscribable"],
            conflates=row["conflates"],
            flush_every_message=row["flush_every_message"],
        )
        for stream, row in table.items()
    }


TOPICS: dict[str, Topic] = _topics()
"""Every topic by its stream's name: prices, carbon, alerts, regulation, dispatch, readings."""

TOPIC_OF_RECORD: dict[str, Topic] = {record: topic for topic in TOPICS.values() for record in topic.records}
"""The one topic that carries a record."""


@cache
def avro_text(record: str) -> str:
    """The .avsc of a record, as it lies in the package."""
    return _HERE.joinpath("avro", f"{record}.avsc").read_text("utf-8")


@cache
def avro_schema(record: str) -> dict[str, Any]:
    """The .avsc of a record as plain data."""
    schema: dict[str, Any] = json.loads(avro_text(record))
    return schema


def subject(topic: Topic, record: str) -> str:
    """The registry's subject of a record on a topic (TopicRecordNameStrategy: topic + full record name)."""
    return f"{topic.name}-gridsignal.{record}"


SUBJECTS: tuple[str, ...] = tuple(subject(topic, record) for topic in TOPICS.values() for record in topic.records)
"""All subjects in the order they are registered in."""


@lru_cache(maxsize=1024)  # keys are zones: few, and asked for several times with each record
def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: murmur2 as Kafka's own default partitioner counts, so any producer agrees with us."""
    return (_murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def _murmur2(key: bytes) -> int:
    # Austin Appleby's MurmurHash2, 32 bit, seed 0x9747b28c
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    length = len(key)
    value = 0x9747B28C ^ length
    for at in range(0, length - length % 4, 4):
        word = int.from_bytes(key[at : at + 4], "little") * multiplier & mask
        word = (word ^ (word >> 24)) * multiplier & mask
        value = (value * multiplier & mask) ^ word
    if rest := key[length - length % 4 :]:
        value = (value ^ int.from_bytes(rest, "little")) * multiplier & mask
    value = (value ^ (value >> 13)) * multiplier & mask
    return value ^ (value >> 15)
