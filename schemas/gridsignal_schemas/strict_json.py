"""JSON from outside, read exactly: no key twice, no NaN, no depth without end.

pydantic's own reader takes the last of two equal keys and any NaN; no JSON library refuses the first. What is found
here comes with JSON pointers (RFC 6901), like everything that is wrong with a body.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.rules.shapes import pointer, shape_fault

M = TypeVar("M", bound=BaseModel)

MAX_BODY = 64 * 1024
"""Bytes of a body at a REST door; of a longer one nothing is read."""
MAX_FAULTS = 50
"""Faults told at once: a body of 64 KiB can hold thousands."""
MAX_DEPTH = 32
"""Levels of a body; ours have three. How many an interpreter can take differs from one to the next."""
_TOO_DEEP = f"expected JSON of at most {MAX_DEPTH} levels, got more"


class NotJson(Exception):
    """The text is not JSON at all; the message says where it stops being it."""


class NotTheShape(Exception):
    """It is JSON, but not what is expected; `faults` says what and where, all at once."""

    def __init__(self, faults: list[Detail]) -> None:
        super().__init__(faults[0].message)
        self.faults = faults[:MAX_FAULTS]


def read(shape: type[M], text: bytes) -> M:
    """The value of this shape in a JSON text. Raises NotJson, NotTheShape."""
    if faults := faults_of(text):
        raise NotTheShape(faults)
    try:
        return shape.model_validate_json(text)
    except ValidationError as invalid:
        raise NotTheShape([shape_fault(error) for error in invalid.errors(include_url=False)]) from None


def faults_of(text: bytes) -> list[Detail]:
    """What no JSON text may have, whatever its shape. Raises NotJson."""
    reading = _Reading()
    value = reading.value_of(text)
    if reading.is_odd:
        return list(islice(_twisted(value, ""), MAX_FAULTS))
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and _is_deep(value):
        raise NotJson(_TOO_DEEP)
    return []


def _is_deep(value: Any) -> bool:
    """Whether there are more levels than MAX_DEPTH; a level at a time, which a list of thousands does not make slow."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


class _Object(dict[str, Any]):
    """A JSON object in which keys came twice."""

    repeated: tuple[str, ...] = ()


class _NotANumber:
    """Stands where the text said NaN or Infinity."""


class _Reading:
    """One text as it is read."""

    def __init__(self) -> None:
        self.is_odd = False
        """Whether a key came twice, or NaN."""

    def value_of(self, text: bytes) -> Any:
        try:
            return json.loads(
                text.decode("utf-8"),
                object_pairs_hook=self._object,
                parse_constant=self._constant,
                parse_int=str,  # only the shape matters here, and a number of a thousand digits costs
                parse_float=str,
            )
        except UnicodeDecodeError:
            raise NotJson("expected UTF-8 text, got other bytes") from None
        except json.JSONDecodeError as broken:
            raise NotJson(f"expected JSON, got something else at line {broken.lineno}, column {broken.colno}") from None
        except RecursionError:
            raise NotJson("expected JSON of a few levels, got hundreds") from None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        self.is_odd = True
        odd = _Object(value)
        times = Counter(key for key, _ in pairs)
        odd.repeated = tuple(key for key in value if times[key] > 1)
        return odd

    def _constant(self, _: str) -> _NotANumber:
        self.is_odd = True
        return _NotANumber()


def _twisted(value: Any, at: str, depth: int = 0) -> Iterator[Detail]:
    if depth >= MAX_DEPTH:
        raise NotJson(_TOO_DEEP)
    if isinstance(value, _NotANumber):
        yield Detail(code="NOT_A_NUMBER", pointer=at, message="expected a number, got NaN or an infinity")
    elif isinstance(value, dict):
        if isinstance(value, _Object):
            for key in value.repeated:
                yield Detail(
                    code="DUPLICATE_KEY", pointer=pointer(at, key), message="expected the key once, got it twice"
                )
        for key, inner in value.items():
            yield from _twisted(inner, pointer(at, key), depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _twisted(inner, pointer(at, index), depth + 1)
