"""How far long work is, on stderr: one line that is written over at a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

_TERMINAL_S, _ELSEWHERE_S = 0.5, 5.0


class Progress:
    """Told as often as one likes; says so now and then."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._every_s = _TERMINAL_S if self._is_terminal else _ELSEWHERE_S
        self._next_s = time.monotonic() + self._every_s
        self._is_open = False

    def tell(self, done: int, total: int, more: str = "") -> None:
        """So much of so much is done; `more` stands behind the share."""
        if (now_s := time.monotonic()) < self._next_s:
            return
        self._next_s, self._is_open = now_s + self._every_s, self._is_terminal
        line = f"{min(100, done * 100 // max(1, total)):3d} %  {more}".rstrip()
        print(f"\r{line}" if self._is_terminal else line, end="" if self._is_terminal else "\n", file=sys.stderr)
        sys.stderr.flush()

    def end(self) -> None:
        """The next line is not this one."""
        if self._is_open:
            print(file=sys.stderr)
