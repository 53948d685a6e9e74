"""How long a connection may last: a hello in time, signs of life, a token that is good.

Silence is measured in seconds in which the program was there to hear: a stall of its own is held against nobody.
"""

from __future__ import annotations

from datetime import datetime

from gridsignal_protocol.server import closing
from gridsignal_protocol.server.closing import Close
from gridsignal_protocol.server.events import Ping
from gridsignal_protocol.server.limits import Limits, Moment
from gridsignal_schemas.frames import TokenExpiring


class Life:
    """One connection's, from its upgrade on."""

    def __init__(self, limits: Limits, now: Moment) -> None:
        self._limits = limits
        self._opened_s = self._pinged_s = now.lived_s
        self._notice_sent = False

    def renewed(self) -> None:
        """Another token counts: its end is told of, too."""
        self._notice_sent = False

    def tick(
        self, now: Moment, heard_s: float, expires_at: datetime | None, *, is_open: bool
    ) -> tuple[list[Ping | TokenExpiring | Close], float]:
        """What is due, and in how many seconds to look again; `is_open` once the hello was answered."""
        limits, lived_s = self._limits, now.lived_s
        if not is_open and lived_s - self._opened_s >= limits.hello_timeout_s:
            return [closing.NO_HELLO], 0.0
        if lived_s - heard_s >= limits.dead_after_s:
            return [closing.NO_PONG], 0.0
        due: list[Ping | TokenExpiring | Close] = []
        if lived_s - self._pinged_s >= limits.ping_s:
            self._pinged_s = lived_s
            due.append(Ping())
        again_s = min(heard_s + limits.dead_after_s, self._pinged_s + limits.ping_s) - lived_s
        if not is_open:
            again_s = min(again_s, self._opened_s + limits.hello_timeout_s - lived_s)
        if expires_at is not None:
            due_events, look_s = self._token(now, expires_at, is_open=is_open)
            due += due_events
            again_s = min(again_s, look_s)
        return due, again_s

    def _token(self, now: Moment, expires_at: datetime, *, is_open: bool) -> tuple[list[TokenExpiring | Close], float]:
        left_s = (expires_at - now.wall).total_seconds()
        if left_s <= 0:
            return [closing.TOKEN_EXPIRED], 0.0
        until_notice_s = left_s - self._limits.token_notice_s
        if until_notice_s > 0:
            return [], until_notice_s
        if self._notice_sent or not is_open:
            return [], left_s
        self._notice_sent = True
        return [TokenExpiring(expires_at=expires_at)], left_s
