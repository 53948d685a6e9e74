"""What a subscription may wish for."""

from __future__ import annotations

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.frames import Filter, Subscribe
from gridsignal_schemas.messages import Accounting, PriceProduct
from gridsignal_schemas.rules.access import SIGNAL_READ, Entitlements, Principal

_STREAMS = ", ".join(sorted(name for name, topic in TOPICS.items() if topic.subscribable))
_PRODUCTS = frozenset(map(str, PriceProduct))
_ACCOUNTINGS = frozenset(map(str, Accounting))


def fault_of(frame: Subscribe, who: Principal, entitled: Entitlements) -> tuple[str, str] | None:
    """The code and the message of what is wrong with it; None where it may be had."""
    topic = TOPICS.get(frame.stream)
    if topic is None or not topic.subscribable:
        return "unknown_stream", f"expected one of {_STREAMS}, got {frame.stream!r:.70}"
    if frame.mode == "latest" and not topic.conflates:
        return "unsupported_mode", f"{frame.stream} is never conflated: mode every only"
    if SIGNAL_READ not in who.scopes:
        return "forbidden", f"the token lacks {SIGNAL_READ}"
    if foreign := [zone for zone in frame.filter.zones or () if zone not in entitled.zones]:
        mine = ", ".join(sorted(entitled.zones)) or "none"
        return "forbidden", f"expected one of your zones ({mine}), got {foreign[0]!r:.60}"
    if unknown := _unknown(frame.filter):
        return "schema", f"expected a product or accounting that there is, got {unknown!r:.70}"
    return None


def _unknown(wanted: Filter) -> str | None:
    """The first product or accounting of a filter that no signal can have: each filter is work for every signal."""
    products = set(wanted.products or ()) - _PRODUCTS
    accountings = set(wanted.accounting or ()) - _ACCOUNTINGS
    return min(products | accountings, default=None)
