"""How a broken rule is told."""

from __future__ import annotations

from datetime import datetime

from gridsignal_schemas.frames import Detail


def fault(code: str, pointer: str, message: str) -> Detail:
    """One broken rule."""
    return Detail(code=code, pointer=pointer, message=message)


def text_of(when: datetime) -> str:
    """A moment as it stands in a message."""
    return when.isoformat().replace("+00:00", "Z")
