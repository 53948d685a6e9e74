"""What a poll is answered with: frames as they come, until there is something new or no more time."""

from __future__ import annotations

from collections.abc import Sequence

from gridsignal_schemas.frames import Error, Frame, Gap
from gridsignal_services.gateway.events import refusal_of
from gridsignal_services.gateway.hub import Prepared
from gridsignal_services.rest.problems import Problem, bad_request, unavailable

_MOST_BYTES = 1024 * 1024


class PollAnswer:
    """An answer that is put together.

    Bounded: `_MOST_BYTES` and one batch. When full: it is complete, and the next poll goes on; but a snapshot has no
    cursor before its end, and so it is refused. Conflates: nothing.
    """

    def __init__(self) -> None:
        self.is_over = False
        """No more time: whatever has a cursor is an answer."""
        self._frames: list[bytes] = []
        self._bytes = 0
        self._cursor: str | None = None
        self._has_news = False
        self._error: Error | None = None

    def add(self, messages: Sequence[Prepared]) -> None:
        """Signals and positions of the subscription."""
        for prepared in messages:
            self._add(prepared.message)
            self._cursor = prepared.cursor or self._cursor
            self._has_news = self._has_news or not prepared.is_position

    def add_frame(self, frame: Frame) -> None:
        """A frame beside them."""
        self._add(frame.encode().encode())
        self._has_news = self._has_news or isinstance(frame, Gap)
        if isinstance(frame, Error):
            self._error = frame

    def _add(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._bytes += len(frame)

    @property
    def is_complete(self) -> bool:
        """Whether it is to be given now."""
        if self._error is not None or self._bytes >= _MOST_BYTES:
            return True
        return self._cursor is not None and (self.is_over or self._has_news)

    def body(self) -> bytes:
        """The answer as JSON, with what there is and the place to go on from. Raises Problem where there is none."""
        if self._error is not None:
            raise refusal_of(self._error)
        if self._cursor is None and self._bytes >= _MOST_BYTES:  # cut here, the next poll would begin again
            raise _too_long()
        if self._cursor is None:
            raise unavailable("This was ended before there was an answer: ask again.")
        return b'{"frames":[' + b",".join(self._frames) + b'],"cursor":"' + self._cursor.encode() + b'"}'


def _too_long() -> Problem:
    message = "snapshot: expected one of at most 1 MiB, got more: name fewer zones, or read /v1/events"
    return bad_request("TOO_LONG", "?snapshot", message)
