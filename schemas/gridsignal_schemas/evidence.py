"""What somebody takes away from a log to prove something by it later: one JSON file, at the doors one answer.

It holds a signed head, and with it a record that lies under it, or what shows that it extends an older head.
docs/settlement.md, "Proof", says how it is checked.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated, Any, Literal

from pydantic import Field

from gridsignal_schemas.frames import Signature
from gridsignal_schemas.messages import TreeHead
from gridsignal_schemas.values import EXACT_MAX, INT32_MAX, Name, Sha256, Shape

_Path = Annotated[list[Sha256], Field(max_length=64)]


class ProvedRecord(Shape):
    """A record as it lies on the log, and the way from its leaf to the root."""

    offset: Annotated[int, Field(ge=0, le=EXACT_MAX)]
    """Its place in the head's partition, and the number of its leaf."""
    appended_us: Annotated[int, Field(ge=0, le=EXACT_MAX)]
    """Append time, microseconds since 1970."""
    principal: Annotated[str, Field(max_length=INT32_MAX)]
    """Who caused it; empty where nobody was named."""
    value: str
    """The value, framing included, in base64."""
    path: _Path
    """From the leaf's neighbour up, each 32 bytes in hexadecimal."""
    avro: str | None = None
    """The schema that the value was written with, by which it is shown; nothing of the proof rests on it."""
    signature: Signature | None = None
    """The participant's whose word it is, where it signed; it is not in the leaf, and proves itself."""

    def bytes(self) -> bytes:
        """The value. Raises ValueError for what is no base64."""
        return b64decode(self.value, validate=True)


class Extension(Shape):
    """What shows that the head extends an older one."""

    size: Annotated[int, Field(ge=1, le=EXACT_MAX)]
    """The older head's."""
    path: _Path


class Evidence(Shape):
    """The file."""

    gridsignal: Literal["evidence"] = "evidence"
    version: Literal[1] = 1
    head: TreeHead
    record: ProvedRecord | None = None
    extends: Extension | None = None


class Heads(Shape):
    """The newest heads that may be seen, the newest first, each with the way to the one after it in this list; the last
    with the way to the size that was asked for, where one was."""

    heads: list[Evidence]


class Proof(Shape):
    """A record, as it is read and as it lies on the log."""

    record_name: Name
    """Which of the contract's."""
    record: dict[str, Any]
    """Its fields, as JSON."""
    evidence: Evidence
    """What proves it."""
