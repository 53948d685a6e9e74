"""Ids that a client mints: UUIDv7 (RFC 9562), which sort by time; and ids that follow from others."""

from __future__ import annotations

import os
import time
import uuid

_RECEIVED = uuid.UUID("2f0c7b0e-5d0a-5e0e-9a55-6b1f6f5a8d11")


def uuid7() -> str:
    """A new id: 48 bits of milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def received_id(order_id: str, revision: int) -> str:
    """The id of the RECEIVED of one revision of an order: the same from every program that answers it."""
    return str(uuid.uuid5(_RECEIVED, f"{order_id}/{revision}"))
