"""The rules that requests bring with them: read, held against their hashes, and made of what ships or is written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import Direction, DispatchRequest, PinnedRule, QuantityKind
from gridsignal_schemas.rules.faults import fault
from gridsignal_services.settlement.methods import METHODS, MeterBeforeAfter, Method, WrongParameter, XOfY, method_of
from gridsignal_services.settlement.rules import STANDARD, RuleFault, SettlementRule

_KNOWN = 256
"""Rules read lately: requests of one product bring the same."""


def pinned(rule: SettlementRule) -> PinnedRule:
    """A settlement rule as a request brings it."""
    return PinnedRule(name=rule.name, version=rule.version, sha256=rule.sha256, parameters=rule.text)


def pinned_method(method: Method) -> PinnedRule:
    """A baseline method as a request brings it."""
    return PinnedRule(name=method.name, version=method.version, sha256=method.sha256, parameters=method.text)


STANDARD_RULE = pinned(STANDARD)
"""Of a product that names none."""
DECLARED = pinned_method(METHODS["declared"])
"""What the site declared before the request."""


@lru_cache(_KNOWN)
def rule_of(text: str) -> SettlementRule:
    """The settlement rule that a canonical text says. Raises RuleFault."""
    return SettlementRule.parse(text)


@lru_cache(_KNOWN)
def _method_of(name: str, version: int, text: str) -> Method:
    return method_of(name, version, text)


def method_said(pinned: PinnedRule) -> Method:
    """The baseline method that a request brings. Raises WrongParameter."""
    return _method_of(pinned.name, pinned.version, pinned.parameters)


def history_method(request: DispatchRequest) -> XOfY | None:
    """How the baseline of a request is made of history; None where what was declared counts."""
    pinned = request.baseline_method
    parameters = None if pinned is None else method_said(pinned).parameters
    return parameters if isinstance(parameters, XOfY) else None


def rule_faults(request: DispatchRequest) -> list[Detail]:
    """What is wrong with the rules that a request brings: each is the text that its hash names, and says a rule."""
    return [
        *_settlement_faults(request.settlement),
        *_meaning_faults(request),
        *_pricing_faults(request),
        *_method_faults(request.baseline_method),
    ]


def meaning_of(request: DispatchRequest) -> QuantityKind:
    """Whether its orders are an amount used less or more, or a limit kept; without a rule they are the former."""
    rule = None if request.settlement is None else rule_of(request.settlement.parameters)
    return QuantityKind.DELTA if rule is None or rule.meaning is None else rule.meaning


def _meaning_faults(request: DispatchRequest) -> Iterator[Detail]:
    try:
        is_limit = meaning_of(request) is QuantityKind.IMPORT_LIMIT
    except RuleFault:  # said already
        return
    if is_limit and request.direction is not Direction.LOAD_DECREASE:
        expected = f"expected LOAD_DECREASE, for its product's rule has a limit kept, got {request.direction}"
        yield fault("RULE", "/direction", expected)


def _pricing_faults(request: DispatchRequest) -> Iterator[Detail]:
    """A rule that has a pricing of its own was held against it already."""
    try:
        rule = None if request.settlement is None else rule_of(request.settlement.parameters)
    except RuleFault:  # said already
        return
    if rule is not None and rule.is_without_price(request.pricing):
        expected = "expected a price, for its product's rule charges what lacks by a multiple of it, got UNPAID"
        yield fault("RULE", "/pricing", expected)


def _method_faults(pinned: PinnedRule | None) -> Iterator[Detail]:
    yield from _hash_faults("/baseline_method", pinned)
    if pinned is None:
        return
    try:
        method = method_said(pinned)
    except WrongParameter as wrong:
        yield fault("RULE", "/baseline_method/parameters", str(wrong))
        return
    if isinstance(method.parameters, MeterBeforeAfter):
        expected = "expected a method that reads what was before the event, got one that reads what came after it"
        yield fault("RULE", "/baseline_method/parameters", expected)


def _settlement_faults(rule: PinnedRule | None) -> Iterator[Detail]:
    yield from _hash_faults("/settlement", rule)
    if rule is None:
        return
    try:
        said = rule_of(rule.parameters)
    except RuleFault as broken:
        yield from (fault("RULE", f"/settlement/parameters{each.pointer}", each.message) for each in broken.faults)
        return
    if (said.name, said.version) != (rule.name, rule.version):
        got = f"expected {rule.name} {rule.version}, got {said.name} {said.version}"
        yield fault("RULE", "/settlement/parameters", got)


def _hash_faults(where: str, rule: PinnedRule | None) -> Iterator[Detail]:
    if rule is not None and (digest := sha256(rule.parameters.encode()).hexdigest()) != rule.sha256:
        yield fault("RULE_HASH", f"{where}/sha256", f"expected {digest}, got {rule.sha256}")
