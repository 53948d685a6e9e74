"""A battery behind pymodbus's server: a setpoint, and a timer that lets go of it. Its clock is the test's."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gridsignal.agent.actuators.battery import Registers
from tests.services.process import free_ports

UNIT, REGISTERS = 1, Registers(setpoint=100, revert_s=102)


class Battery:
    """What it was told, and until when."""

    def __init__(self, now: datetime) -> None:
        self.now, self._until, self._watts = now, now, 0

    async def registers(self, _: int, start: int, address: int, count: int, regs: list[int], values: Any) -> None:
        """What the server asks at each read and write."""
        if values is not None:
            packed = struct.pack(f">{count}H", *values)
            if address == REGISTERS.revert_s:
                self._until = self.now + timedelta(seconds=struct.unpack(">I", packed)[0])
            else:
                (self._watts,) = struct.unpack(">i", packed)
            return
        left_s = max(0, (self._until - self.now) // timedelta(seconds=1))
        told = struct.unpack(">4H", struct.pack(">iI", self._watts if left_s else 0, left_s))
        at = REGISTERS.setpoint - start
        regs[at : at + 4] = told

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Its port, for as long as the block runs."""
        (port,) = free_ports(1)
        registers = [SimData(REGISTERS.setpoint, count=4, values=0, datatype=DataType.REGISTERS)]
        server = ModbusTcpServer([SimDevice(UNIT, registers, action=self.registers)], address=("127.0.0.1", port))
        await server.serve_forever(background=True)
        try:
            yield port
        finally:
            await server.shutdown()  # type: ignore[no-untyped-call]  # it has no annotation
