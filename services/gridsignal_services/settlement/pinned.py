"""The rules that requests bring with them: read, held against their hashes, and made of what ships or is written."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import Direction, DispatchRequest, OfferOption, PinnedRule, Pricing, QuantityKind
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.values import text_of_decimal
from gridsignal_services.settlement.methods import METHODS, MeterBeforeAfter, Method, WrongParameter, XOfY, method_of
from gridsignal_services.settlement.rules import STANDARD, RuleFault, SettlementRule

_KNOWN = 256
"""Rules read lately: requests of one product bring the same."""
_PAYS_ITS_PRICE = frozenset({Pricing.PAY_AS_BID, Pricing.PAY_AS_CLEARED})


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


def underpaid(request: DispatchRequest, option: OfferOption, at: str) -> Iterator[Detail]:
    """Why a request does not surely pay an option its own price, or charges more than that for what lacks.

    What the product's rule charges is known to who offers for the product; what the request alone says is not. Prices
    are per MWh, in the request's currency. Each fault is OUTSIDE_PROFILE.
    """
    rule = None if request.settlement is None else rule_of(request.settlement.parameters)
    own, least = option.price_per_mwh, option.price_per_mwh
    pricing = request.pricing if rule is None else rule.pricing or request.pricing
    if pricing is Pricing.REGULATED and rule is not None and rule.regulated_price_per_mwh is not None:
        least = rule.regulated_price_per_mwh
    elif pricing is Pricing.UNPAID or request.pricing not in _PAYS_ITS_PRICE:
        cap = request.price_cap_per_mwh if request.pricing is Pricing.REGULATED else None
        least = Decimal(0) if cap is None or pricing is Pricing.UNPAID else cap
    if least < own:
        got = f"expected to be paid {text_of_decimal(own)} per MWh or more, got {text_of_decimal(least)} ({pricing})"
        yield fault("OUTSIDE_PROFILE", f"{at}/price_per_mwh", got)
    by_rule = rule is not None and (rule.deficiency_price_per_mwh, rule.deficiency_multiplier) != (None, None)
    charged, most = request.deficiency_price_per_mwh or Decimal(0), max(own, Decimal(0))
    if not by_rule and charged > most:
        got = f"expected at most {text_of_decimal(most)} for a MWh that lacks, got {text_of_decimal(charged)}"
        yield fault("OUTSIDE_PROFILE", f"{at}/price_per_mwh", got)


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
