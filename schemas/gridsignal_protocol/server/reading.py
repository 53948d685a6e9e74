"""From a text to the frame it is, or what is said to a text that is none."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from gridsignal_protocol.server.replies import rate
from gridsignal_schemas.frames import ClientFrame, Detail, Error, Refused
from gridsignal_schemas.records import RECORD_OF_FRAME, ROWS
from gridsignal_schemas.rules.writes import MAX_DETAILS, details_of
from gridsignal_schemas.strict_json import NotJson, faults_of

_FRAMES: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="t")])
_NAMES = sorted({name for row in ROWS.values() for name in row.named_by})
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read(text: bytes) -> ClientFrame | Error | Refused:
    """The frame, or the answer to what is no frame of the protocol, read as exactly as at the REST doors."""
    try:
        if faults := faults_of(text):
            return _twisted(text, faults)
        return _FRAMES.validate_json(text)
    except NotJson as fault:
        return Error(code="bad_frame", message=str(fault))
    except ValidationError as invalid:
        return _malformed(text, invalid)


def too_fast(text: bytes, retry_after_ms: int) -> Error | Refused:
    """The answer to a frame for which there was no token."""
    found = _peek(text)
    frame_id = _id(found)
    if found.get("t") in RECORD_OF_FRAME and frame_id is not None:
        return rate("too many frames", retry_after_ms).model_copy(update={"id": frame_id, **_names(found)})
    message = f"too many frames: expected none for {retry_after_ms} ms"
    return Error(id=frame_id, code="rate", message=message, retriable=True)


def _malformed(text: bytes, invalid: ValidationError) -> Error | Refused:
    """The answer to a text that is no frame of the protocol; with its id where one can be read."""
    found = _peek(text)
    frame_id, kind = _id(found), found.get("t")
    details = details_of(invalid)
    first = f"{details[0].pointer} {details[0].message}".strip()[:300]
    if not found:
        return Error(code="bad_frame", message=f"expected a JSON object, got: {first}")
    if invalid.errors(include_url=False)[0]["type"].startswith("union_tag"):
        return Error(id=frame_id, code="unknown_frame", message=f"expected a frame of the protocol, got t={kind!r:.60}")
    inside = [detail.model_copy(update={"pointer": detail.pointer.removeprefix(f"/{kind}")}) for detail in details]
    if kind in RECORD_OF_FRAME and frame_id is not None:
        return Refused(id=frame_id, code="schema", details=inside).model_copy(update=_names(found))
    return Error(id=frame_id, code="schema", message=first, details=inside)


def _twisted(text: bytes, faults: list[Detail]) -> Error | Refused:
    """A key came twice, or a number that is none."""
    found = _peek(text)
    frame_id, kind = _id(found), found.get("t")
    if not found:
        return Error(code="bad_frame", message=f"expected a JSON object, got: {faults[0].message}")
    if kind in RECORD_OF_FRAME and frame_id is not None:
        inside = [fault.model_copy(update={"pointer": fault.pointer.removeprefix("/body")}) for fault in faults]
        return Refused(id=frame_id, code="schema", details=inside[:MAX_DETAILS]).model_copy(update=_names(found))
    message = f"{faults[0].pointer} {faults[0].message}"[:300]
    return Error(id=frame_id, code="schema", message=message, details=faults[:MAX_DETAILS])


def _peek(text: bytes) -> dict[str, Any]:
    """What can be read of a frame that is not one; empty where it is not even an object."""
    try:
        value = from_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _id(found: dict[str, Any]) -> int | None:
    got = found.get("id")
    return got if isinstance(got, int) and not isinstance(got, bool) and 0 <= got < 2**53 else None


def _names(found: dict[str, Any]) -> dict[str, str]:
    names = {name: found.get(name) for name in _NAMES}
    return {name: got for name, got in names.items() if isinstance(got, str) and _IDENTIFIER.fullmatch(got)}
