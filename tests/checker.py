"""Reads a log on Kafka from offset 0 and says what lies there, in JSON: of gridsignal it knows the schemas alone.

python tests/checker.py BROKERS PREFIX, with KAFKA_USERNAME and KAFKA_PASSWORD where the brokers ask who one is
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import sys
from collections import Counter
from typing import Any

import fastavro
from aiokafka import AIOKafkaConsumer, TopicPartition

from gridsignal_schemas.catalog import TOPICS, avro_schema

TOPIC = TOPICS["dispatch"]
FRAMING = 5


async def values(brokers: str, prefix: str) -> list[tuple[str, bytes]]:
    """(name of the record, value) of everything on the dispatch topic, each partition in its order."""
    login: dict[str, Any] = {}
    if "KAFKA_USERNAME" in os.environ:
        login = {"security_protocol": "SASL_PLAINTEXT", "sasl_plain_username": os.environ["KAFKA_USERNAME"]}
        login["sasl_plain_password"] = os.environ["KAFKA_PASSWORD"]
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers.split(","), enable_auto_commit=False, **login)
    await consumer.start()
    try:
        partitions = [TopicPartition(prefix + TOPIC.name, number) for number in range(TOPIC.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends, found = await consumer.end_offsets(partitions), []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    kind = dict(record.headers)["ce_type"].decode().removeprefix("gridsignal.")
                    found.append((kind, record.value))
        return found
    finally:
        await consumer.stop()


def decoded(kind: str, value: bytes) -> dict[str, Any]:
    fields: Any = fastavro.schemaless_reader(io.BytesIO(value[FRAMING:]), fastavro.parse_schema(avro_schema(kind)))
    return dict(fields)


def told(records: list[tuple[str, bytes]]) -> dict[str, Any]:
    """How often each offer lies there and with which hashes; which clearings, orders and decisions there are."""
    offers: dict[str, list[str]] = {}
    clearings: list[dict[str, Any]] = []
    kinds: Counter[str] = Counter()
    for kind, value in records:
        kinds[kind] += 1
        if kind == "FlexOffer":
            digest = hashlib.sha256(value[FRAMING:]).hexdigest()
            offers.setdefault(decoded(kind, value)["offer_id"], []).append(digest)
        elif kind == "Clearing":
            clearing = decoded(kind, value)
            clearings.append({name: clearing[name] for name in ("clearing_id", "request_id", "position", "awards")})
    return {"offers": offers, "clearings": clearings, "records": dict(kinds)}


if __name__ == "__main__":
    print(json.dumps(told(asyncio.run(values(*sys.argv[1:]))), default=str))
