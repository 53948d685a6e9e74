"""While there is no connection: how long already, and which of its troubles are worth a line in the log."""

from __future__ import annotations

import logging

NOTE_EVERY_S = 30.0
KINDS = 16


class Absence:
    """One line for each kind of trouble, and again in a while as long as it lasts.

    Bounded: KINDS kinds. When full: further kinds are told at DEBUG alone. Conflates: nothing.
    """

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._noted_s: dict[str, float] = {}
        self._told = logging.DEBUG
        """The loudest line so far."""

    def noted(self, trouble: str, now_s: float, *, unusual: bool) -> tuple[int, float]:
        """The level of a line about this trouble, and how long there has been no connection."""
        if self._since_s is None:
            self._since_s = now_s
        away_s = now_s - self._since_s
        is_known = trouble in self._noted_s
        is_due = now_s - self._noted_s[trouble] >= NOTE_EVERY_S if is_known else len(self._noted_s) < KINDS
        if not is_due:
            return logging.DEBUG, away_s
        self._noted_s[trouble] = now_s
        level = logging.WARNING if unusual or away_s >= NOTE_EVERY_S else logging.INFO
        self._told = max(self._told, level)
        return level, away_s

    def over(self, now_s: float) -> tuple[int, float] | None:
        """There is a connection again: how loud to say so, as its trouble was told, and how long there was none.

        None where there always was one.
        """
        since_s, self._since_s = self._since_s, None
        level, self._told = max(self._told, logging.INFO), logging.DEBUG
        self._noted_s.clear()
        return None if since_s is None else (level, now_s - since_s)
