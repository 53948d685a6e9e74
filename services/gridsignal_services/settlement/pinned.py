"""The rules that requests bring with them: read, held against their hashes, and made of what ships or is written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import DispatchRequest, PinnedRule
from gridsignal_schemas.rules.faults import fault
from gridsignal_services.settlement.canonical import canonical
from gridsignal_services.settlement.rules import STANDARD, RuleFault, SettlementRule

_KNOWN = 256
"""Rules read lately: requests of one product bring the same."""


def pinned(rule: SettlementRule) -> PinnedRule:
    """A settlement rule as a request brings it."""
    return PinnedRule(name=rule.name, version=rule.version, sha256=rule.sha256, parameters=rule.text)


def pinned_method(name: str, version: int, parameters: dict[str, object]) -> PinnedRule:
    """A baseline method as a request brings it."""
    text = canonical(parameters)
    return PinnedRule(name=name, version=version, sha256=sha256(text).hexdigest(), parameters=text.decode())


STANDARD_RULE = pinned(STANDARD)
"""Of a product that names none."""
DECLARED = pinned_method("declared", 1, {"kind": "DECLARED"})
"""What the site declared before the request."""


@lru_cache(_KNOWN)
def rule_of(text: str) -> SettlementRule:
    """The settlement rule that a canonical text says. Raises RuleFault."""
    return SettlementRule.parse(text)


def rule_faults(request: DispatchRequest) -> list[Detail]:
    """What is wrong with the rules that a request brings: each is the text that its hash names, and says a rule."""
    return [*_settlement_faults(request.settlement), *_hash_faults("/baseline_method", request.baseline_method)]


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
