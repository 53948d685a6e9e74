"""Ids that a client mints: UUIDv7 (RFC 9562), which sort by time; and ids that follow from others."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
import uuid
from collections.abc import Mapping
from typing import Any

_STANDING = uuid.UUID("8d3b1c52-2b0f-5c56-9a37-0b9e4b7c6d24")
_ANSWERS = uuid.UUID("2f0c7b0e-5d0a-5e0e-9a55-6b1f6f5a8d11")


def uuid7() -> str:
    """A new id: 48 bits of milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def answer_id(order_id: str, revision: int, answer: Mapping[str, Any]) -> str:
    """The id of an answer to one revision of an order: the same from every program, and every run of it, that says it.

    `answer` is what is said, without who says it and when.
    """
    said = {name: value for name, value in answer.items() if value not in (None, "")}
    return str(uuid.uuid5(_ANSWERS, json.dumps([order_id, revision, said], sort_keys=True)))


def standing_id(site: str, product: str) -> str:
    """The id of a site's offer that stands for a product: the same from every run of a program."""
    return str(uuid.uuid5(_STANDING, json.dumps([site, product])))


def name_under(secret: bytes, *what: str | int) -> str:
    """An id that follows from what it names: the same for whoever has the secret, and no guess for anybody else."""
    return hmac.new(secret, json.dumps(what).encode(), hashlib.sha256).hexdigest()[:32]
