"""Puts records on the log as CloudEvents (Kafka binding 1.0, binary mode), with who caused them beside."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime

from gridsignal_schemas.catalog import TOPIC_OF_RECORD
from gridsignal_schemas.messages import Record
from gridsignal_schemas.values import rfc3339
from gridsignal_services.bus import PRINCIPAL, SIGNATURE, Appended, Log, LogRecord
from gridsignal_services.bus.codec import Codec
from gridsignal_services.clock import wall


def headers_of(
    record: Record,
    *,
    principal: str,
    source: str,
    traceparent: str | None = None,
    signature: str | None = None,
    now: Callable[[], datetime] = wall,
) -> dict[str, str]:
    """The headers a record travels with. `ce_time` is when it was produced, by the wall; nothing rests on it."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"{random.getrandbits(128):032x}",  # uuid4 asks the kernel each time
        "ce_source": source,
        "ce_type": f"gridsignal.{record.record_name}",
        "ce_time": rfc3339(now()),
        "content-type": "application/avro",
        PRINCIPAL: principal,
    }
    if traceparent is not None:
        headers["traceparent"] = traceparent
    if signature is not None:
        headers[SIGNATURE] = signature
    return headers


async def publish(
    log: Log,
    codec: Codec,
    record: Record,
    *,
    principal: str,
    source: str,
    partition: int | None = None,
    traceparent: str | None = None,
    signature: str | None = None,
) -> Appended:
    """Returns when the record is durable. Its key is its zone; a GridClock has none and names its partition.

    Raises Unwritable for a record that breaks its own rules, LogUnavailable when it may or may not have been logged.
    """
    value = codec.encode(record)
    return await append(
        log,
        record,
        value,
        principal=principal,
        source=source,
        partition=partition,
        traceparent=traceparent,
        signature=signature,
    )


async def append(
    log: Log,
    record: Record,
    value: bytes,
    *,
    principal: str,
    source: str,
    partition: int | None = None,
    traceparent: str | None = None,
    signature: str | None = None,
) -> Appended:
    """`publish` for a record that is encoded already."""
    key = getattr(record, "zone", "")
    if not key and partition is None:
        raise ValueError(f"expected a partition for a {record.record_name}, which has no zone")
    headers = headers_of(record, principal=principal, source=source, traceparent=traceparent, signature=signature)
    stream = TOPIC_OF_RECORD[record.record_name].stream
    return await log.append(stream, key, value, headers, partition=partition)


def principal_of(record: LogRecord) -> str:
    """Who caused the record, as its producer wrote; empty where nobody was named."""
    return record.headers.get(PRINCIPAL, "")


def signature_of(record: LogRecord) -> str | None:
    """The signature that came with the record; None where it has none."""
    return record.headers.get(SIGNATURE)
