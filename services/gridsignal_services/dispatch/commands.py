"""What a person asks for, as records for the log; and what is wrong with it before it gets there.

Nothing here decides for good: the reduce asks again at the record's own offset.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import (
    Clearing,
    ClearingTrigger,
    DispatchOrder,
    DispatchRequest,
    OrderState,
    PinnedRule,
    RequestCancellation,
    Visibility,
)
from gridsignal_schemas.rules.access import zone_fault
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.lifecycle import ORDER, ORDER_OVER, Event, allows
from gridsignal_schemas.rules.products import terms_of
from gridsignal_schemas.values import rfc3339
from gridsignal_services.access import Entitlements, Principal
from gridsignal_services.dispatch.shapes import (
    AwardBody,
    CancelBody,
    CancelOrderBody,
    ExtendBody,
    ReleaseBody,
    RequestBody,
)
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.clearing import decide
from gridsignal_services.ledger.coming_back import comes_back_at
from gridsignal_services.ledger.overtaken import NOTHING, LeftOut
from gridsignal_services.ledger.picks import Pick
from gridsignal_services.ledger.tracked import TrackedOrder
from gridsignal_services.registry import Registry

_NAMESPACE = uuid.UUID("d0c6f6a4-2f0b-5d5e-8a39-52a1c1f3f0b7")


def request_id_of(operator: str, idempotency_key: str) -> str:
    """The id of the request this key creates: the log itself is the idempotency store."""
    return str(uuid.uuid5(_NAMESPACE, f"{operator}|{idempotency_key}"))


_RULES = ("settlement", "baseline_method", "product_terms")


def asked(
    body: RequestBody,
    request_id: str,
    revision: int,
    operator: str,
    registry: Registry,
    before: DispatchRequest | None = None,
) -> DispatchRequest:
    """The record of a request as written by a person; a missing currency is the zone's, its rules are the product's,
    and so is what the body leaves out and its product has.

    The rules and the terms of the revision `before` stay, whatever the registry says by now.
    """
    pinned = _rules_of(body, registry, before)
    terms = pinned["product_terms"]
    usual = {} if terms is None else terms_of(terms.parameters).usual()
    left_out = {name: figure for name, figure in usual.items() if name not in body.model_fields_set}
    fields = dict(body) | {"currency": body.currency or registry.zones[body.zone].currency} | left_out | pinned
    return DispatchRequest(request_id=request_id, revision=revision, operator=operator, **fields)


def _rules_of(body: RequestBody, registry: Registry, before: DispatchRequest | None) -> dict[str, PinnedRule | None]:
    if before is not None:
        return {name: getattr(before, name) for name in _RULES}
    terms = registry.product(body.product).terms
    settlement, method = registry.rules_of(body.product)
    return dict(zip(_RULES, (settlement, method, None if terms is None else terms.pinned), strict=True))


def own_rule_faults(body: RequestBody, asked: DispatchRequest) -> list[Detail]:
    """Where a question says another rule than its product has."""
    pairs = ((name, getattr(body, name), getattr(asked, name)) for name in _RULES)
    return [
        fault("RULE", f"/{name}", f"expected {_named(held)}, which its product has, got {_named(said)}")
        for name, said, held in pairs
        if said not in (None, held)
    ]


def _named(rule: PinnedRule | None) -> str:
    return "none" if rule is None else f"{rule.name} {rule.version} ({rule.sha256})"


def differences(first: DispatchRequest, asked: DispatchRequest) -> list[Detail]:
    """In what a question differs from the one that its idempotency key has asked already."""
    pairs = {name: (getattr(first, name), getattr(asked, name)) for name in RequestBody.model_fields}
    return [
        fault("CONFLICT", f"/{name}", f"expected {_text_of(before)} as this key has asked already, got {_text_of(now)}")
        for name, (before, now) in pairs.items()
        if before != now
    ]


def _text_of(value: Any) -> str:
    if isinstance(value, datetime):
        return rfc3339(value)
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str("" if value is None else value)
    return f"{text:.60}" or "nothing"


def body_faults(body: RequestBody, entitlements: Entitlements, registry: Registry) -> list[Detail]:
    """What the registry knows to be wrong with a request; the ledger's rules come after these."""
    foreign = zone_fault(body.zone, "/zone", entitlements)
    faults = [] if foreign is None else [foreign]
    unknown = [
        f"/audience/{index}" for index, name in enumerate(body.audience) if not _may_hear(name, body.zone, registry)
    ]
    faults += [
        fault("AUDIENCE_UNKNOWN", where, "expected a participant that is entitled to the zone") for where in unknown
    ]
    if body.visibility is Visibility.LISTED and not body.audience:
        faults.append(fault("AUDIENCE_EMPTY", "/audience", "expected somebody, or nobody sees a LISTED request"))
    return faults


def _may_hear(participant: str, zone: str, registry: Registry) -> bool:
    entry = registry.participants.get(participant)
    return entry is not None and zone in entry.zones


def cancellation(request: DispatchRequest, body: CancelBody, principal: Principal) -> RequestCancellation:
    """The record that takes a request back."""
    return RequestCancellation(
        zone=request.zone,
        request_id=request.request_id,
        actor=principal.name,
        reason_code=body.reason_code,
        reason=body.reason,
    )


def cleared(
    book: Book,
    position: int,
    request_id: str,
    now: datetime,
    principal: Principal,
    reason: str,
    award: AwardBody | None = None,
    left_out: LeftOut = NOTHING,
) -> Clearing:
    """A clearing by hand of the book at a position: in merit order, less what is left out; or what was picked.

    Raises ValueError for a pick that can't be called.
    """
    picks = None if award is None else [Pick(**dict(pick)) for pick in award.picks]
    return decide(
        book,
        request_id,
        now=now,
        position=position,
        trigger=ClearingTrigger.BY_HAND,
        actor=principal.name,
        reason=reason,
        picks=picks,
        left_out=left_out if picks is None else NOTHING,
    )


def pick_faults(award: AwardBody) -> list[Detail]:
    """Offers picked more than once: their options exclude each other."""
    seen: set[tuple[str, str]] = set()
    faults = []
    for index, pick in enumerate(award.picks):
        key = (pick.participant, pick.offer_id)
        if key in seen:
            faults.append(fault("PICKED_TWICE", f"/picks/{index}", "expected each offer once"))
        seen.add(key)
    return faults


def extension_faults(tracked: TrackedOrder, body: ExtendBody) -> list[Detail]:
    """Why an order can't be extended like this; one whose end is already there is no fault."""
    faults = _change_faults(tracked, body.revision)
    ends_at = tracked.order.ends_at
    if ends_at is None:
        faults.append(fault("OPEN_ENDED", "/ends_at", "expected an order with an end, got one that is open"))
    elif body.ends_at < ends_at:
        faults.append(fault("NOT_LATER", "/ends_at", f"expected a time after {rfc3339(ends_at)}; release it instead"))
    return faults


def release_faults(tracked: TrackedOrder, ends_at: datetime, body: ReleaseBody) -> list[Detail]:
    """Why an order can't be released like this."""
    faults = _change_faults(tracked, body.revision)
    current = tracked.order.ends_at
    if current is not None and ends_at > current:
        expected = f"expected a time before {rfc3339(current)}; extend it instead"
        faults.append(fault("NOT_EARLIER", "/ends_at", expected))
    if body.ends_at is not None and ends_at <= tracked.order.starts_at:
        expected = f"expected a time after starts_at ({rfc3339(tracked.order.starts_at)})"
        faults.append(fault("BEFORE_START", "/ends_at", expected))
    return faults


def _change_faults(tracked: TrackedOrder, revision: int | None) -> list[Detail]:
    faults = []
    if tracked.state in ORDER_OVER:
        faults.append(fault("ORDER_OVER", "", f"expected an order that is not over, got {tracked.state}"))
    if revision is not None and revision != tracked.order.revision:
        expected = f"expected the current revision ({tracked.order.revision}), got {revision}"
        faults.append(fault("ORDER_REVISION", "/revision", expected))
    return faults


def cancellation_faults(tracked: TrackedOrder, body: CancelOrderBody) -> list[Detail]:
    """Why an order can't be cancelled like this."""
    faults = _change_faults(tracked, body.revision)
    if not faults and not allows(ORDER, tracked.state, Event.CANCEL):
        expected = f"expected an order that has not begun, got {tracked.state}; release it instead"
        faults.append(fault("ORDER_RUNS", "", expected))
    return faults


def ending(
    book: Book, tracked: TrackedOrder, body: ExtendBody | ReleaseBody, who: Principal, ends_at: datetime
) -> DispatchOrder:
    """The next revision of an order, with another end, after which its site comes back as its areas let it."""
    restores_at = comes_back_at(book, tracked, ends_at) or tracked.order.restore_not_before
    return _revised(tracked, body, who, ends_at=ends_at, restore_not_before=restores_at)


def cancelled(book: Book, tracked: TrackedOrder, body: CancelOrderBody, who: Principal) -> DispatchOrder:
    """The last revision of an order that has not begun; a site that ramps already comes back as its areas let it."""
    restores_at = comes_back_at(book, tracked, None) or tracked.order.restore_not_before
    return _revised(tracked, body, who, state=OrderState.CANCELLED, restore_not_before=restores_at)


def _revised(
    tracked: TrackedOrder, body: ExtendBody | ReleaseBody | CancelOrderBody, who: Principal, **changed: Any
) -> DispatchOrder:
    order = tracked.order
    changes = {
        "revision": order.revision + 1,
        "state": tracked.state,
        "power_w": tracked.power_w,
        "actor": who.name,
        "reason_code": body.reason_code,
        "reason": body.reason,
    }
    return DispatchOrder(**dict(order) | changes | changed)
