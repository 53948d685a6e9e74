"""What a client has written or asked and has no answer to: which of it may go to the log, and how much at once.

Bounded: `size` without an answer. When full: refused with `rate`. Conflates: nothing.
"""

from __future__ import annotations

from gridsignal_protocol.server.events import Look, Publish
from gridsignal_protocol.server.replies import forbidden, rate
from gridsignal_schemas.frames import Error, Query, Refused, Write
from gridsignal_schemas.rules.access import OFFER_WRITE, Principal
from gridsignal_schemas.rules.writes import Speaker, WriteRefused, names_of, record_of
from gridsignal_schemas.values import Record

_WAIT_MS = 100


class Window:
    """The writes and queries of one connection that wait for their answers."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.unanswered = 0
        """Those that have no answer yet."""

    @property
    def _is_full(self) -> bool:
        return self.unanswered >= self._size

    def write(self, frame: Write, who: Principal, speaker: Speaker | None) -> Publish | Refused:
        """The record for the log, or why there is none."""
        names, record = names_of(frame), self._record(frame, who, speaker)
        if isinstance(record, Refused):
            return record.model_copy(update={"id": frame.id, **names})
        self.unanswered += 1
        return Publish(frame.id, record, **names, signature=frame.signature)

    def query(self, frame: Query, speaker: Speaker | None) -> Look | Error:
        """The question for the ledger, or why there is none."""
        if self._is_full:
            message = f"too many unanswered frames: expected none for {_WAIT_MS} ms"
            return Error(id=frame.id, code="rate", message=message, retriable=True)
        self.unanswered += 1
        return Look(frame, speaker.site if speaker else None)

    def answered(self) -> None:
        """One of them has its answer: there is room for another."""
        self.unanswered -= 1

    def _record(self, frame: Write, who: Principal, speaker: Speaker | None) -> Record | Refused:
        """The refusal still lacks its ids."""
        if OFFER_WRITE not in who.scopes:
            return forbidden(f"the token lacks {OFFER_WRITE}")
        if speaker is None:
            return forbidden("this connection speaks for no site: say which in the hello")
        if self._is_full:
            return rate("too many unanswered frames", _WAIT_MS)
        try:
            return record_of(frame, speaker)
        except WriteRefused as broken:
            return Refused(id=0, code=broken.code, details=broken.details)
