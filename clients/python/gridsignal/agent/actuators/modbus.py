"""Modbus TCP, as much of it as a setpoint needs: holding registers are read (3) and written (16).

Bounded: one exchange of at most 260 bytes at a time, within `timeout_s`. When full: ModbusFailed. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

_READ, _WRITE = 3, 16
_EXCEPTION = 0x80


class ModbusFailed(Exception):
    """The device does not answer, or answers with an exception code."""


async def read(host: str, port: int, unit: int, address: int, count: int, *, timeout_s: float) -> list[int]:
    """So many holding registers from this address on (the number on the wire, from 0). Raises ModbusFailed."""
    answer = await _exchange(host, port, unit, struct.pack(">BHH", _READ, address, count), timeout_s)
    if len(answer) != 2 + 2 * count:
        raise ModbusFailed(f"{host}:{port}: expected {count} registers, got {len(answer)} bytes")
    return list(struct.unpack(f">{count}H", answer[2:]))


async def write(host: str, port: int, unit: int, address: int, values: Sequence[int], *, timeout_s: float) -> None:
    """Writes holding registers, all in one. Raises ModbusFailed."""
    head = struct.pack(">BHHB", _WRITE, address, len(values), 2 * len(values))
    await _exchange(host, port, unit, head + struct.pack(f">{len(values)}H", *values), timeout_s)


async def _exchange(host: str, port: int, unit: int, asked: bytes, timeout_s: float) -> bytes:
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(struct.pack(">HHHB", 1, 0, len(asked) + 1, unit) + asked)
                await writer.drain()
                _, protocol, length, _ = struct.unpack(">HHHB", await reader.readexactly(7))
                if protocol or not 2 < length < 256:
                    raise ModbusFailed(f"{host}:{port}: expected Modbus TCP, got another protocol")
                answer = await reader.readexactly(length - 1)
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise ModbusFailed(f"{host}:{port}: {error or 'no answer'}") from error
    if answer[0] == asked[0] | _EXCEPTION:
        raise ModbusFailed(f"{host}:{port}: expected an answer, got exception {answer[1]}")
    return answer
