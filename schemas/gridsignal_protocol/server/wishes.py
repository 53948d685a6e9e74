"""What a subscription may wish for."""

from __future__ import annotations

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.frames import Detail, Error, Filter, Subscribe
from gridsignal_schemas.messages import Accounting, PriceProduct
from gridsignal_schemas.rules.access import SIGNAL_READ, Entitlements, Principal, zone_fault

_STREAMS = ", ".join(sorted(name for name, topic in TOPICS.items() if topic.subscribable))
_PRODUCTS = frozenset(map(str, PriceProduct))
_ACCOUNTINGS = frozenset(map(str, Accounting))


def refusal_of(frame: Subscribe, who: Principal, entitled: Entitlements) -> Error | None:
    """The answer to what may not be had, with what is wrong in its details; None where it may."""
    topic = TOPICS.get(frame.stream)
    if topic is None or not topic.subscribable:
        message = f"expected one of {_STREAMS}, got {frame.stream!r:.70}"
        return Error(id=frame.id, code="unknown_stream", message=message)
    if frame.mode == "latest" and not topic.conflates:
        message = f"{frame.stream} is never conflated: mode every only"
        return Error(id=frame.id, code="unsupported_mode", message=message)
    if SIGNAL_READ not in who.scopes:
        return Error(id=frame.id, code="forbidden", message=f"the token lacks {SIGNAL_READ}")
    if fault := _foreign(frame.filter, entitled):
        return Error(id=frame.id, code="forbidden", message=fault.message, details=[fault])
    if fault := _unknown(frame.filter):
        return Error(id=frame.id, code="schema", message=fault.message, details=[fault])
    return None


def _foreign(wanted: Filter, entitled: Entitlements) -> Detail | None:
    """The first zone of a filter that is none of theirs."""
    found = (zone_fault(zone, f"/filter/zones/{place}", entitled) for place, zone in enumerate(wanted.zones or ()))
    return next(filter(None, found), None)


def _unknown(wanted: Filter) -> Detail | None:
    """The first product or accounting of a filter that no signal can have: each filter is work for every signal."""
    for name, values, known in (
        ("products", wanted.products, _PRODUCTS),
        ("accounting", wanted.accounting, _ACCOUNTINGS),
    ):
        for place, value in enumerate(values or ()):
            if value not in known:
                message = f"expected a product or accounting that there is, got {value!r:.70}"
                return Detail(code="UNKNOWN_SYMBOL", pointer=f"/filter/{name}/{place}", message=message)
    return None
