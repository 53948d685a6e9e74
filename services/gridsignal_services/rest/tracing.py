"""The caller's place in a trace (W3C Trace Context), from the request to the record that it becomes.

Each request has its own: it is a context variable, which a task hands on to those that it starts.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

from fastapi import Request

HEADER = "traceparent"
_SHAPE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_caller: ContextVar[str | None] = ContextVar("traceparent", default=None)


def enter(request: Request) -> None:
    """What is logged for this request from now on carries its `traceparent`, if it has one that is one."""
    said = request.headers.getlist(HEADER)
    _caller.set(said[0] if len(said) == 1 and _SHAPE.fullmatch(said[0]) else None)


def traceparent() -> str | None:
    """That of the request that is being answered; None for one without, and where none is."""
    return _caller.get()
