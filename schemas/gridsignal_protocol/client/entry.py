"""What a data center writes, on its way to the log, and what can become of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gridsignal_schemas import frames
from gridsignal_schemas.frames import Detail, Receipt


@dataclass(frozen=True, slots=True)
class Entry:
    """One message on its way to the log."""

    seq: int
    """Its place in the outbox."""
    kind: str
    """The frame's type: offer, withdraw, respond, baseline, reading."""
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

    def frame(self, request_id: int) -> frames.Frame:
        """The frame that carries it."""
        match self.kind:
            case "offer":
                return frames.Offer(id=request_id, offer_id=self.ident, body=self.body)
            case "withdraw":
                return frames.Withdraw(id=request_id, offer_id=self.ident, body=self.body)
            case "respond":
                return frames.Respond(id=request_id, response_id=self.ident, body=self.body)
            case "baseline":
                return frames.Baseline(id=request_id, body=self.body)
            case "reading":
                return frames.Reading(id=request_id, body=self.body)
        raise ValueError(f"expected a kind of entry, got {self.kind!r}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The gateway's answer is no, and will stay no."""

    code: str
    details: tuple[Detail, ...]
    what: str
    """For people: what was refused."""
    is_subscription: bool = False


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
