"""How a broken rule is told."""

from __future__ import annotations

from gridsignal_schemas.frames import Detail


def fault(code: str, pointer: str, message: str) -> Detail:
    """One broken rule."""
    return Detail(code=code, pointer=pointer, message=message)
