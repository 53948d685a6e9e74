"""A battery behind Modbus TCP: it is told how much to discharge, and for how long before it goes back by itself.

The register map is the configuration's: a signed 32-bit setpoint (discharge is positive) in steps of `step_w`, and an
unsigned 32-bit number of seconds after which the device lets go of it and which counts down. A device without such a
timer is none for us: nobody would end what a dead agent began.

Bounded: `timeout_s` for each of at most four exchanges. When full: ActuatorFailed. Conflates: nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime, timedelta

from gridsignal.agent.actuators import Action, ActuatorFailed, Observed, modbus
from gridsignal.agent.schedule import Schedule
from gridsignal.agent.words import power
from gridsignal_schemas.values import rfc3339

_LATE_S = 5
"""By how much the device's timer may differ from what is wanted."""


@dataclass(frozen=True, slots=True)
class Registers:
    """Where the device has what."""

    setpoint: int
    revert_s: int
    step_w: int = 1


class BatteryActuator:
    """One battery."""

    def __init__(
        self, host: str, port: int, unit: int, registers: Registers, *, most_w: int, timeout_s: float = 5.0
    ) -> None:
        self._host, self._port, self._unit, self._registers = host, port, unit, registers
        self._most_w, self._timeout_s = most_w, timeout_s

    async def observe(self, now: datetime) -> Observed:
        watts, left_s = await self._read()
        until = now + timedelta(seconds=left_s) if watts else None
        return Observed(watts, until, max(0, self._most_w - watts))

    async def apply(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
        slot, until = schedule.at(now), schedule.until(now)
        wanted_w = 0 if slot is None else self._rounded(slot.shed_w)
        wanted_s = 0 if until is None else -int((now - until) // timedelta(seconds=1))
        watts, left_s = await self._read()
        if watts == wanted_w and (not wanted_w or abs(left_s - wanted_s) <= _LATE_S):
            return ()
        # first for how long, then how much: what is half told ends, too
        await self._write(self._registers.revert_s, struct.pack(">I", wanted_s))
        await self._write(self._registers.setpoint, struct.pack(">i", wanted_w // self._registers.step_w))
        if slot is None or until is None:
            return (Action("no discharge", "no order asks for it any more"),)
        return (Action(f"discharge {power(wanted_w)} until {rfc3339(until)}", slot.reason),)

    async def check(self, now: datetime) -> str:
        watts, left_s = await self._read()
        return f"discharges {power(watts)}" + (f" for {left_s} s" if watts else "")

    async def aclose(self) -> None:
        """Nothing is open."""

    def _rounded(self, shed_w: int) -> int:
        """At least what is asked, in steps of the device, and no more than it can."""
        step_w = self._registers.step_w
        most_w = self._most_w - self._most_w % step_w
        return max(-most_w, min(most_w, -(-shed_w // step_w) * step_w))

    async def _read(self) -> tuple[int, int]:
        (setpoint,) = struct.unpack(">i", await self._two(self._registers.setpoint))
        (left_s,) = struct.unpack(">I", await self._two(self._registers.revert_s))
        return (setpoint * self._registers.step_w if left_s else 0), left_s

    async def _two(self, address: int) -> bytes:
        try:
            found = await modbus.read(self._host, self._port, self._unit, address, 2, timeout_s=self._timeout_s)
        except modbus.ModbusFailed as failed:
            raise ActuatorFailed(str(failed)) from failed
        return struct.pack(">2H", *found)

    async def _write(self, address: int, value: bytes) -> None:
        values = struct.unpack(">2H", value)
        try:
            await modbus.write(self._host, self._port, self._unit, address, values, timeout_s=self._timeout_s)
        except modbus.ModbusFailed as failed:
            raise ActuatorFailed(str(failed)) from failed
