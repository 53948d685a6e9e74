"""What a session says to frames it can't or won't act on."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from gridsignal_schemas.frames import Detail, Error, Frame, Refused
from gridsignal_schemas.records import RECORD_OF_FRAME
from gridsignal_schemas.rules.writes import MAX_DETAILS, details_of
from gridsignal_services.strict_json import NotJson, faults_of

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")


def malformed(text: bytes, invalid: ValidationError) -> Frame:
    """The answer to a text that is no frame of the protocol; with its id where one can be read."""
    told = _peek(text)
    frame_id, kind = _id(told), told.get("t")
    details = details_of(invalid)
    first = f"{details[0].pointer} {details[0].message}".strip()[:300]
    if not told:
        return Error(code="bad_frame", message=f"expected a JSON object, got: {first}")
    if invalid.errors(include_url=False)[0]["type"].startswith("union_tag"):
        return Error(id=frame_id, code="unknown_frame", message=f"expected a frame of the protocol, got t={kind!r:.60}")
    if kind in RECORD_OF_FRAME and frame_id is not None:
        inside = [detail.model_copy(update={"pointer": detail.pointer.removeprefix(f"/{kind}")}) for detail in details]
        return Refused(id=frame_id, code="schema", details=inside).model_copy(update=_names(told))
    return Error(id=frame_id, code="schema", message=first)


def odd(text: bytes) -> Frame | None:
    """The answer to a text that no JSON should be, read as the REST doors read it; None for one that is in order."""
    try:
        faults = faults_of(text)
    except NotJson as fault:
        return Error(code="bad_frame", message=str(fault))
    return _twisted(text, faults) if faults else None


def _twisted(text: bytes, faults: list[Detail]) -> Frame:
    """A key came twice, or a number that is none."""
    told = _peek(text)
    frame_id, kind = _id(told), told.get("t")
    if not told:
        return Error(code="bad_frame", message=f"expected a JSON object, got: {faults[0].message}")
    if kind in RECORD_OF_FRAME and frame_id is not None:
        inside = [fault.model_copy(update={"pointer": fault.pointer.removeprefix("/body")}) for fault in faults]
        return Refused(id=frame_id, code="schema", details=inside[:MAX_DETAILS]).model_copy(update=_names(told))
    return Error(id=frame_id, code="schema", message=f"{faults[0].pointer} {faults[0].message}"[:300])


def too_fast(text: bytes, retry_after_ms: int) -> Frame:
    """The answer to a frame for which there was no token."""
    told = _peek(text)
    frame_id = _id(told)
    if told.get("t") in RECORD_OF_FRAME and frame_id is not None:
        return rate("too many frames", retry_after_ms).model_copy(update={"id": frame_id, **_names(told)})
    message = f"too many frames: expected none for {retry_after_ms} ms"
    return Error(id=frame_id, code="rate", message=message, retriable=True)


def forbidden(message: str) -> Refused:
    """A refusal that still lacks its ids."""
    return Refused(id=0, code="forbidden", details=[Detail(code="forbidden", message=message)])


def rate(message: str, retry_after_ms: int) -> Refused:
    """A refusal that still lacks its ids."""
    details = [Detail(code="rate", message=message)]
    return Refused(id=0, code="rate", retriable=True, retry_after_ms=retry_after_ms, details=details)


def _peek(text: bytes) -> dict[str, Any]:
    """What can be read of a frame that is not one; empty where it is not even an object."""
    try:
        told = from_json(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _id(told: dict[str, Any]) -> int | None:
    got = told.get("id")
    return got if isinstance(got, int) and not isinstance(got, bool) and 0 <= got < 2**53 else None


def _names(told: dict[str, Any]) -> dict[str, str]:
    names = {name: told.get(name) for name in ("offer_id", "response_id")}
    return {name: got for name, got in names.items() if isinstance(got, str) and _IDENTIFIER.fullmatch(got)}
