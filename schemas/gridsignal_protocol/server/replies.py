"""What is said to a write."""

from __future__ import annotations

from gridsignal_protocol.server.events import Publish
from gridsignal_schemas.frames import Detail, Receipt, Received, Refused


def received(asked: Publish, receipt: Receipt, *, duplicate: bool = False) -> Received:
    """The log holds it."""
    return Received(
        id=asked.id, offer_id=asked.offer_id, response_id=asked.response_id, receipt=receipt, duplicate=duplicate
    )


def refused(asked: Publish, code: str, *, retry_after_ms: int = 0, details: list[Detail] | None = None) -> Refused:
    """A refusal of one write; a time to wait makes it retriable."""
    return Refused(
        id=asked.id,
        offer_id=asked.offer_id,
        response_id=asked.response_id,
        code=code,
        retriable=retry_after_ms > 0,
        retry_after_ms=retry_after_ms,
        details=details or [],
    )


def forbidden(message: str) -> Refused:
    """A refusal that still lacks its ids."""
    return Refused(id=0, code="forbidden", details=[Detail(code="FORBIDDEN", message=message)])


def rate(message: str, retry_after_ms: int) -> Refused:
    """A refusal that still lacks its ids."""
    details = [Detail(code="RATE", message=message)]
    return Refused(id=0, code="rate", retriable=True, retry_after_ms=retry_after_ms, details=details)
