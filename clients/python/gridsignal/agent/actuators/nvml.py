"""Power limits of this machine's NVIDIA GPUs, by NVIDIA's own library: of those that are named, and of no other.

What is shed is by how much their limits are lower: GPUs that draw less than their limit shed less, which the meter
shows. A limit has no end of its own and outlives the agent: what each was lies beside the agent's state before it is
changed, and `gridsignal agent release`, which a timer starts, gives back what is over. A limit that somebody else has
set since is left as it is, and counted from there; one program at a time changes any.

Bounded: MOST GPUs, `timeout_s` for each call. When full: the configuration is refused. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridsignal.agent.actuators import Action, ActuatorFailed, Observed
from gridsignal.agent.actuators.files import replaced
from gridsignal.agent.schedule import Schedule
from gridsignal_schemas.rules.shapes import findings
from gridsignal_schemas.values import Timestamp, rfc3339

MOST = 64
_MW = 1000
"""Milliwatts in a watt: what the library counts in."""
T = TypeVar("T")


class Lowered(BaseModel):
    """What a GPU's limit was, and until when it is lower."""

    model_config = ConfigDict(extra="forbid", strict=True)

    was_mw: int
    until: Timestamp
    ours_mw: tuple[int, ...] = Field(default=(), strict=False)
    """What it was set to by us, the last two: who is killed between may have set either. An older version kept none."""

    def is_ours(self, now_mw: int) -> bool:
        """Nobody else has set it since; GPUs round to whole watts."""
        return not self.ours_mw or any(abs(now_mw - each) < _MW for each in (*self.ours_mw, self.was_mw))


class Limit(NamedTuple):
    """A GPU's power limit in milliwatts."""

    now_mw: int
    least_mw: int


def library() -> Any:
    """NVIDIA's library. Raises ModuleNotFoundError."""
    return importlib.import_module("pynvml")


class NvmlActuator:
    """Lowers the limits of named GPUs."""

    def __init__(self, uuids: Sequence[str], beside: Path, nvml: Any, *, timeout_s: float = 10.0) -> None:
        """`beside`: a file for what limits were. `nvml`: the library, or what has its functions."""
        self._uuids, self._beside, self._nvml, self._timeout_s = tuple(uuids), beside, nvml, timeout_s

    async def observe(self, now: datetime) -> Observed:
        limits, lowered = await self._call(self._limits), self._read()
        shed_w = sum(self._lower_mw(uuid, limits, lowered) for uuid in self._uuids) // _MW
        until = max((each.until for each in lowered.values()), default=None)
        room_w = sum(max(0, each.now_mw - each.least_mw) // _MW for each in limits.values())
        return Observed(shed_w, until if shed_w else None, room_w)

    async def apply(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
        async with self._alone():
            return await self._apply(schedule, now)

    async def _apply(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
        slot, until = schedule.at(now), schedule.until(now)
        limits, read = await self._call(self._limits), self._read()
        lowered = {uuid: each for uuid, each in read.items() if uuid not in limits or each.is_ours(limits[uuid].now_mw)}
        if slot is None or until is None or slot.shed_w <= 0:
            reason = "no order asks for it any more" if slot is None else slot.reason
            return await self._restored(read, reason)
        was = {uuid: lowered[uuid].was_mw if uuid in lowered else limits[uuid].now_mw for uuid in self._uuids}
        wanted = spread({uuid: (was[uuid], limits[uuid].least_mw) for uuid in self._uuids}, slot.shed_w)
        changes = {uuid: limit for uuid, limit in wanted.items() if limit != limits[uuid].now_mw}
        kept = dict[str, Lowered]()
        for uuid in self._uuids:
            ours = {limits[uuid].now_mw, wanted[uuid]} if uuid in lowered else {wanted[uuid]}
            kept[uuid] = Lowered(was_mw=was[uuid], until=until, ours_mw=tuple(sorted(ours)))
        if kept != read:
            self._write(kept)  # before anything is lower: whoever is killed after it can be undone
        await self._set(changes)
        if not changes and {uuid: each.until for uuid, each in read.items()} == dict.fromkeys(self._uuids, until):
            return ()
        shed_w = sum(was[uuid] - wanted[uuid] for uuid in self._uuids) // _MW
        return (Action(f"{len(self._uuids)} GPUs limited to {shed_w} W less until {rfc3339(until)}", slot.reason),)

    async def release(self, now: datetime, *, everything: bool = False) -> tuple[Action, ...]:
        """Gives back what is over, or all of it: without an agent, or beside one."""
        if not self._read():
            return ()
        async with self._alone():
            return await self._release(now, everything=everything)

    async def _release(self, now: datetime, *, everything: bool) -> tuple[Action, ...]:
        lowered = self._read()
        over = {uuid: each for uuid, each in lowered.items() if everything or each.until <= now}
        return await self._restored(over, "it is over")

    async def check(self, now: datetime) -> str:
        async with self._alone():
            limits = await self._call(self._limits)
            await self._set({uuid: limit.now_mw for uuid, limit in list(limits.items())[:1]})  # as it is: may we?
        room_w = sum(max(0, each.now_mw - each.least_mw) for each in limits.values()) // _MW
        return f"{len(limits)} GPUs, whose limits can be {room_w} W lower"

    async def aclose(self) -> None:
        """Nothing is open."""

    async def _restored(self, lowered: Mapping[str, Lowered], reason: str) -> tuple[Action, ...]:
        """Undone first and forgotten then: who is killed between the two does it again, which does nothing."""
        if not lowered:
            return ()
        limits = await self._call(lambda: {uuid: self._limit(uuid) for uuid in lowered})
        ours = {uuid: each.was_mw for uuid, each in lowered.items() if each.is_ours(limits[uuid].now_mw)}
        await self._set(ours)
        self._write({uuid: each for uuid, each in self._read().items() if uuid not in lowered})
        others = len(lowered) - len(ours)
        left = f", {others} left as somebody else has set them" if others else ""
        return (Action(f"{len(ours)} GPUs limited as before{left}", reason),)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """No other program reads, decides and sets meanwhile; who is killed lets go of it. Raises ActuatorFailed."""
        file = self._beside.with_name(self._beside.name + ".lock")

        def claimed() -> sqlite3.Connection:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = sqlite3.connect(file, timeout=self._timeout_s, isolation_level=None, check_same_thread=False)
            try:
                lock.execute("BEGIN IMMEDIATE")
            except sqlite3.Error:
                lock.close()
                raise
            return lock

        try:
            lock = await asyncio.to_thread(claimed)
        except (sqlite3.Error, OSError) as taken:
            raise ActuatorFailed(f"{file}: expected to change limits alone, got another program: {taken}") from taken
        try:
            yield
        finally:
            lock.close()

    def _lower_mw(self, uuid: str, limits: Mapping[str, Limit], lowered: Mapping[str, Lowered]) -> int:
        now_mw = limits[uuid].now_mw
        return max(0, lowered[uuid].was_mw - now_mw) if uuid in lowered and lowered[uuid].is_ours(now_mw) else 0

    def _limits(self) -> dict[str, Limit]:
        return {uuid: self._limit(uuid) for uuid in self._uuids}

    def _limit(self, uuid: str) -> Limit:
        gpu = self._nvml.nvmlDeviceGetHandleByUUID(uuid)
        least_mw, _ = self._nvml.nvmlDeviceGetPowerManagementLimitConstraints(gpu)
        return Limit(int(self._nvml.nvmlDeviceGetPowerManagementLimit(gpu)), int(least_mw))

    async def _set(self, limits: Mapping[str, int]) -> None:
        def told() -> None:
            for uuid, limit_mw in limits.items():
                self._nvml.nvmlDeviceSetPowerManagementLimit(self._nvml.nvmlDeviceGetHandleByUUID(uuid), limit_mw)

        if limits:
            await self._call(told)

    async def _call(self, work: Callable[[], T]) -> T:
        """On a thread of its own, between the library's beginning and end. Raises ActuatorFailed."""

        def worked() -> T:
            self._nvml.nvmlInit()
            try:
                return work()
            finally:
                with suppress(self._nvml.NVMLError):
                    self._nvml.nvmlShutdown()

        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.to_thread(worked)
        except TimeoutError:
            raise ActuatorFailed(f"NVML: no answer within {self._timeout_s:g} s") from None
        except self._nvml.NVMLError as refused:
            raise ActuatorFailed(f"NVML: {refused}") from refused

    def _read(self) -> dict[str, Lowered]:
        """What limits were, as it lies beside."""
        try:
            found = json.loads(self._beside.read_text("utf-8"))
            return {uuid: Lowered.model_validate_json(json.dumps(each)) for uuid, each in found.items()}
        except FileNotFoundError:
            return {}
        except ValidationError as error:
            raise ActuatorFailed(f"{self._beside}: expected what limits were, got {findings(error)}") from error
        except (OSError, ValueError, AttributeError) as error:
            raise ActuatorFailed(f"{self._beside}: expected what limits were: {error}") from error

    def _write(self, lowered: Mapping[str, Lowered]) -> None:
        replaced(self._beside, json.dumps({uuid: each.model_dump(mode="json") for uuid, each in lowered.items()}))


def spread(limits: Mapping[str, tuple[int, int]], shed_w: int) -> dict[str, int]:
    """The limit of each GPU, of what it was and the least it may be, in milliwatts: together so many watts lower.

    Each gives whole watts in proportion to what it can, or all of it; what doesn't divide comes from the first.
    """
    can = {uuid: max(0, was_mw - least_mw) // _MW for uuid, (was_mw, least_mw) in limits.items()}
    total_w = sum(can.values())
    shed_w = min(shed_w, total_w)
    given = {uuid: shed_w * each // total_w if total_w else 0 for uuid, each in can.items()}
    rest_w = shed_w - sum(given.values())
    for uuid, each in can.items():
        more_w = min(rest_w, each - given[uuid])
        given[uuid] += more_w
        rest_w -= more_w
    return {uuid: was_mw - given[uuid] * _MW for uuid, (was_mw, _) in limits.items()}
