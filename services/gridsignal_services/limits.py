"""Limits that an installation may change, out of the environment's variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gridsignal_services.settings import ConfigError

LIMIT_TYPES = ("int", "float", "tuple[str, ...]")
"""Types of the fields that a variable of a door can set: numbers, and lists of browsers' origins."""
_ORIGIN = re.compile(r"https?://[^\s/?#]+")
_MOST = 1e12


def limits_of(shape: type, prefix: str, limits: Mapping[str, str]) -> dict[str, Any]:
    """The limits whose variables begin with `prefix`, for the fields of a dataclass of limits.

    Raises ConfigError for each name it has not, and for anything but positive numbers and origins.
    """
    types = {spot.name: str(spot.type) for spot in fields(shape) if spot.type in LIMIT_TYPES}
    chosen: dict[str, Any] = {}
    faults: list[str] = []
    for key, text in limits.items():
        if not key.startswith(prefix):
            continue
        name = key.removeprefix(prefix).lower()
        try:
            if name not in types:
                raise ConfigError(f"{key}: expected no such limit, docs/settings.md has those that exist")
            chosen[name] = _origins(key, text) if types[name].startswith("tuple") else _number(key, text, types[name])
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(*faults)
    return chosen


def _number(key: str, text: str, kind: str) -> float:
    try:
        number = int(text) if kind == "int" else float(text)
    except ValueError:
        number = 0
    if not 0 < number < _MOST:
        raise ConfigError(f"{key}: expected a positive {kind}, got {text!r:.60}")
    return number


def _origins(key: str, text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigError(f"{key}: expected origins such as https://desk.example, got {origin!r:.60}")
    return origins
