"""Lines to stdout and stderr that never stop a service: a pipe nobody reads any more is closed or full.

A service's loop writes nothing itself: a thread does, and below Python's own streams, whose locks it would share.

Bounded: `lines` that wait to be written. When full: new lines are dropped and counted, and once there is room again a
line says how many. Conflates: nothing.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter

_LINES = 10_000
_AGAIN_S = 0.05
_LAST_S = 1.0  # how long an end waits for what is still to be written

counted = CollectorRegistry()
"""What all outputs of this process count."""
_DROPPED = Counter("gridsignal_log_lines_dropped", "Lines that could not be written.", registry=counted)


def no_notice(dropped: int) -> str:
    """Nothing is said of lines that were dropped."""
    del dropped
    return ""


class Output:
    """A stream for one process; `write` neither waits nor raises."""

    def __init__(self, stream: TextIO | None, *, notice: Callable[[int], str] = no_notice, lines: int = _LINES) -> None:
        self._dropped = 0  # lines that had nowhere to go, as long as nobody was told
        self._stream, self._notice, self._lines = stream, notice, lines
        self._fd = _duplicate(stream)
        self._waiting: deque[bytes] = deque()
        self._news = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        if self._fd is not None:
            self._thread = threading.Thread(target=self._run, name="gridsignal-output", daemon=True)
            self._thread.start()
            atexit.register(self.close)

    def write(self, text: str) -> int:
        """Takes a text to be written soon, or not at all."""
        if self._stream is None:
            return len(text)
        if self._fd is None:
            if not _written_through(self._stream, text):
                _DROPPED.inc()
            return len(text)
        with self._news:
            if len(self._waiting) >= self._lines:
                self._drop()
            else:
                self._waiting.append(text.encode(self._stream.encoding or "utf-8", "backslashreplace"))
                self._news.notify()
        return len(text)

    def flush(self) -> None:
        """What was taken is written as soon as it can be."""

    def close(self) -> None:
        """Waits shortly for what is still to be written."""
        with self._news:
            self._closing = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join(_LAST_S)
        atexit.unregister(self.close)

    def _drop(self) -> None:
        self._dropped += 1
        _DROPPED.inc()

    # --- on the thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        assert self._fd is not None
        while (data := self._next()) is not None:
            if not _written(self._fd, data):
                with self._news:
                    self._drop()
        os.close(self._fd)

    def _next(self) -> bytes | None:
        with self._news:
            while not self._waiting:
                if self._closing:
                    return None
                self._news.wait()
            data = self._waiting.popleft()
            if self._dropped:
                notice, self._dropped = self._notice(self._dropped), 0
                data = notice.encode("utf-8", "backslashreplace") + data
            return data


def _duplicate(stream: TextIO | None) -> int | None:
    """The stream's descriptor for ourselves alone; None where it has none, as in a test or a notebook."""
    try:
        return None if stream is None else os.dup(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return None


def _written(fd: int, data: bytes) -> bool:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            time.sleep(_AGAIN_S)  # somebody made the pipe non-blocking
        except OSError:
            return False
    return True


def _written_through(stream: TextIO, text: str) -> bool:
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        return False
    return True


@cache
def _stdout() -> Output:
    return Output(sys.stdout)


def say(text: str = "") -> None:
    """A service's line to whoever started it."""
    _stdout().write(f"{text}\n")
