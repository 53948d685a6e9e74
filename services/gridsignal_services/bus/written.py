"""Which schema ids a log was written with: a registry that gives others, lost or not ours, would make it unreadable."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import Log, LogConfigurationError, LogUnavailable
from gridsignal_services.bus.codec import Poison, schema_id_of
from gridsignal_services.bus.registry import NotRegistered, Registry

LOOK_AT = 500
"""Records looked at from each end of each partition: every one would take as long as the log is."""
_TYPE_PREFIX = "gridsignal."
_TIMEOUT_S = 30.0


async def written_ids(log: Log) -> dict[int, str]:
    """The record each schema id stands for, as the headers of the oldest and newest records say.

    Raises LogUnavailable.
    """
    found: dict[int, str] = {}
    for stream in TOPICS:
        starts, ends = await log.start_positions(stream), await log.end_positions(stream)
        spans = {partition: (start, ends[partition]) for partition, start in starts.items() if start < ends[partition]}
        oldest = {partition: (start, min(start + LOOK_AT, end)) for partition, (start, end) in spans.items()}
        newest = {partition: (max(start, end - LOOK_AT), end) for partition, (start, end) in spans.items()}
        for part in (oldest, newest):
            await _look(log, stream, part, found)
    return found


async def _look(log: Log, stream: str, spans: Mapping[int, tuple[int, int]], found: dict[int, str]) -> None:
    if not spans:
        return
    reader = await log.reader(stream, {partition: start for partition, (start, _) in spans.items()})
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            while any(reader.positions[partition] < end for partition, (_, end) in spans.items()):
                for record in await reader.read():
                    said = record.headers.get("ce_type", "").removeprefix(_TYPE_PREFIX)
                    try:
                        found.setdefault(schema_id_of(record.value), said)
                    except Poison:
                        continue
    except TimeoutError as error:
        raise LogUnavailable(f"{stream}: expected to read its ends in {_TIMEOUT_S:.0f} s, got nothing more") from error
    finally:
        await reader.aclose()


async def must_agree(registry: Registry, written: Mapping[int, str]) -> None:
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
