"""From a client's frame to the record it means: what the session knows may be left out, and never contradicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gridsignal_schemas.frames import Detail, Withdraw, Write
from gridsignal_schemas.messages import RECORDS
from gridsignal_schemas.records import RECORD_OF_FRAME, ROWS
from gridsignal_schemas.rules.shapes import shape_fault
from gridsignal_schemas.values import Record

MAX_DETAILS = 32

_OWN = ("participant", "site")


@dataclass(frozen=True, slots=True)
class Speaker:
    """For whom a connection speaks."""

    participant: str
    site: str
    zone: str


class WriteRefused(Exception):
    """The frame means no record that may be written; carries a refusal's code and details."""

    def __init__(self, code: str, details: list[Detail]) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


def names_of(frame: Write) -> dict[str, str]:
    """What the frame says beside its body: which one its record is, by the names of the record's fields."""
    return {name: getattr(frame, name) for name in ROWS[RECORD_OF_FRAME[frame.t]].named_by}


def record_of(frame: Write, speaker: Speaker) -> Record:
    """The record that a write frame means. Raises WriteRefused: forbidden or schema, with every fault found."""
    known: dict[str, str] = {"zone": speaker.zone, "participant": speaker.participant, "site": speaker.site}
    known |= names_of(frame)
    body = frame.body
    if isinstance(frame, Withdraw):
        body = {"reason": "", **body}  # its body may be absent
    faults = [_contradiction(name, value, body[name]) for name, value in known.items() if name in body]
    if found := [fault for fault in faults if fault is not None]:
        forbidden = any(fault.code == "FORBIDDEN" for fault in found)
        raise WriteRefused("forbidden" if forbidden else "schema", found)
    shape = RECORDS[RECORD_OF_FRAME[frame.t]]
    fields = shape.model_fields
    unknown = [name for name in body if name not in fields]
    not_told = frozenset(unknown[MAX_DETAILS:])  # each of them would cost as much as those that are told
    if not_told:
        body = {name: value for name, value in body.items() if name not in not_told}
    try:
        return shape.model_validate({**body, **known})
    except ValidationError as invalid:
        raise WriteRefused("schema", details_of(invalid)) from None


def _contradiction(name: str, known: str, got: Any) -> Detail | None:
    if got == known:
        return None
    code = "FORBIDDEN" if name in _OWN else "SCHEMA"
    return Detail(code=code, pointer=f"/{name}", message=f"expected {known} or nothing, got {got!r:.60}")


def details_of(invalid: ValidationError) -> list[Detail]:
    """Each broken rule of a shape, with a JSON pointer (RFC 6901)."""
    return [shape_fault(found) for found in invalid.errors(include_url=False)[:MAX_DETAILS]]
