"""What a data center writes, on its way to the log, and what can become of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gridsignal_schemas.frames import CLIENT_FRAMES, Detail, Error, Frame, Receipt
from gridsignal_schemas.records import RECORD_OF_FRAME, ROWS


@dataclass(frozen=True, slots=True)
class Entry:
    """One message on its way to the log."""

    seq: int
    """Its place in the outbox."""
    kind: str
    """The frame's type, one of RECORD_OF_FRAME: an offer, an answer, a reading, ..."""
    ident: str
    """offer_id or response_id; empty where the frame has no identity."""
    thread: str
    """Entries of one thread (an offer, an order) go out one after the other; empty: none."""
    body: dict[str, Any]
    deadline: datetime | None = None
    """Grid time after which it must not be sent any more."""
    maybe_sent: bool = False
    """It may have reached the gateway: before a restart, or on a connection that broke."""

    @property
    def what(self) -> str:
        """For errors: which message."""
        return f"{self.kind} {self.ident}".rstrip()

    def frame(self, request_id: int) -> Frame:
        """The frame that carries it. Raises KeyError for a kind that is no write."""
        named = dict.fromkeys(ROWS[RECORD_OF_FRAME[self.kind]].named_by, self.ident)
        return CLIENT_FRAMES[self.kind].model_validate({"id": request_id, "body": self.body} | named)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The gateway's answer is no."""

    code: str
    details: tuple[Detail, ...]
    what: str
    """For people: what was refused."""
    is_subscription: bool = False
    is_retriable: bool = False
    """The same can succeed later, the frame says; of writes and subscriptions it is asked again, and nobody is told."""

    @classmethod
    def of(cls, error: Error, what: str, *, is_subscription: bool = False) -> Refusal:
        """What an error answers to what was asked; its sentence stands for details where it has none."""
        message = what if error.details else f"{what} ({error.message})"
        return cls(error.code, tuple(error.details or ()), message, is_subscription, error.retriable)


@dataclass(frozen=True, slots=True)
class DeadlineOver:
    """The entry's deadline passed before the log had it."""

    what: str
    """For people: which entry."""
    was_sent: bool
    """It was sent, and the log does not hold it; else it never left."""


@dataclass(frozen=True, slots=True)
class Settled:
    """An entry's outcome: it can leave the outbox, and who waits for it is told."""

    entry: Entry
    outcome: Receipt | Refusal | DeadlineOver
