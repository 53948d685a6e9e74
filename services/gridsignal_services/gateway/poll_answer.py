"""What a poll is answered with: frames as they come, until there is something new or no more time."""

from __future__ import annotations

from collections.abc import Sequence

from gridsignal_schemas.frames import Error, Frame, Gap
from gridsignal_services.gateway.events import refusal_of
from gridsignal_services.gateway.hub import Prepared
from gridsignal_services.rest.problems import unavailable

_MOST_BYTES = 1024 * 1024


class PollAnswer:
    """An answer that is put together.

    Bounded: `_MOST_BYTES` and one batch. When full: it is complete, and the next poll goes on; but a snapshot has no
    cursor before its end, and is as long as what others have open: of it `part` is given away. Conflates: nothing.
    """

    def __init__(self) -> None:
        self.is_over = False
        """No more time: whatever has a cursor is an answer."""
        self.has_begun = False
        """A part of it was given away: it can't become a refusal any more."""
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
        if self._error is not None:
            return True
        return self._cursor is not None and (self.is_over or self._has_news or self._bytes >= _MOST_BYTES)

    @property
    def is_long(self) -> bool:
        """Whether it is to be given part by part."""
        return self.has_begun or self._bytes >= _MOST_BYTES

    def part(self) -> bytes:
        """What there is of a long one, which is kept no longer."""
        given = self._more()
        self.has_begun, self._frames = True, []
        return given

    def body(self) -> bytes:
        """All of the answer as JSON, or what is left of it, with the place to go on from.

        Raises Problem where there is none.
        """
        if self._error is not None:
            raise refusal_of(self._error)
        if self._cursor is None:
            raise unavailable("This was ended before there was an answer: ask again.")
        return self._more() + b'],"cursor":"' + self._cursor.encode() + b'"}'

    def _more(self) -> bytes:
        frames = b",".join(self._frames)
        if not self.has_begun:
            return b'{"frames":[' + frames
        return b"," + frames if frames else b""
