"""Which schema ids a log was written with: a registry that gives others, lost or not ours, would make it unreadable."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import Log, LogConfigurationError, LogRecord
from gridsignal_services.bus.between import read_between
from gridsignal_services.bus.codec import Poison, schema_id_of
from gridsignal_services.bus.registry import NotRegistered, SchemaRegistry

LOOK_AT = 500
"""Records looked at from each end of each partition: every one would take as long as the log is."""
_TYPE_PREFIX = "gridsignal."


async def written_ids(log: Log) -> dict[int, str]:
    """The record each schema id stands for, as the headers of the oldest and newest records say.

    Raises LogUnavailable.
    """
    found: dict[int, str] = {}

    def look(record: LogRecord) -> None:
        with contextlib.suppress(Poison):
            said = record.headers.get("ce_type", "").removeprefix(_TYPE_PREFIX)
            found.setdefault(schema_id_of(record.value), said)

    for stream in TOPICS:
        starts, ends = await log.start_positions(stream), await log.end_positions(stream)
        oldest = {partition: min(start + LOOK_AT, ends[partition]) for partition, start in starts.items()}
        newest = {partition: max(start, ends[partition] - LOOK_AT) for partition, start in starts.items()}
        await read_between(log, stream, starts, oldest, look)
        await read_between(log, stream, newest, ends, look)
    return found


async def must_agree(registry: SchemaRegistry, written: Mapping[int, str]) -> None:
    """Raises LogConfigurationError where the registry's ids are not those the log was written with."""
    faults = []
    for schema_id, record in sorted(written.items()):
        try:
            got = json.loads(await registry.schema(schema_id))["name"]
        except NotRegistered:
            got = "nothing"
        except (ValueError, LookupError, TypeError):
            got = "no record"
        if got != record:
            faults.append(f"id {schema_id}: expected {record}, got {got}")
    if faults:
        raise LogConfigurationError(
            f"the registry is not the one this log was written with ({'; '.join(faults[:5])}):"
            " restore its contents, or give the log another topic prefix"
        )
