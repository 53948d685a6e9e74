"""What a program wants to hear, checked before anything is asked: the wire subscriptions of one iterator.

A decision: the caller's words in, subscriptions out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gridsignal.errors import UsageError
from gridsignal_protocol.client.subscription import Subscription
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.frames import Filter, Mode


def subscriptions_of(
    streams: Sequence[str],
    cursor: Mapping[str, str] | str | None,
    *,
    mode: Mode,
    snapshot: bool,
    zones: Sequence[str] | None = None,
    products: Sequence[str] | None = None,
    accounting: Sequence[str] | None = None,
    orders: Sequence[str] | None = None,
) -> list[Subscription]:
    """One for each stream. Raises UsageError for words that can't mean anything."""
    positions = _positions(streams, cursor)
    return [
        Subscription(
            stream,
            _narrowed(stream, zones, products, accounting, orders),
            mode=mode if mode == "every" or _conflates(stream) else "every",
            snapshot=snapshot,
            cursor=positions.get(stream),
        )
        for stream in streams
    ]


def _positions(streams: Sequence[str], cursor: Mapping[str, str] | str | None) -> Mapping[str, str]:
    if not streams or len(set(streams)) != len(streams):
        raise UsageError(f"expected streams such as 'prices' and 'dispatch', each once, got {streams!r}")
    if isinstance(cursor, str):
        if len(streams) != 1:
            raise UsageError("expected a cursor for each stream as a dict, got one string for several streams")
        return {streams[0]: cursor}
    return cursor or {}


def _conflates(stream: str) -> bool:
    return stream in TOPICS and TOPICS[stream].conflates


def _narrowed(
    stream: str,
    zones: Sequence[str] | None,
    products: Sequence[str] | None,
    accounting: Sequence[str] | None,
    orders: Sequence[str] | None,
) -> Filter:
    try:
        return Filter(
            zones=sorted(set(zones)) if zones is not None else None,
            products=sorted(set(products)) if products is not None and stream == "prices" else None,
            accounting=sorted(set(accounting)) if accounting is not None and stream == "carbon" else None,
            orders=sorted(set(orders)) if orders is not None and stream == "regulation" else None,
        )
    except ValueError as error:
        raise UsageError(f"expected lists of names as zones, products and accounting: {error}") from error
