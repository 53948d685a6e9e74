"""Who may see what was said to a participant at a site, before and after the site has another owner."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gridsignal_services.access import Audience, Entitlements, Principal, Role, may_see
from gridsignal_services.registry import Registry, example_registry_text

AN_ORDER = Audience(participants=frozenset({"acme-ai"}), sites=frozenset({"fra-1"}), operators=frozenset({"tso-north"}))
BEFORE = Registry.parse(example_registry_text())
SOLD = example_registry_text().replace(
    '[sites.fra-1]\nparticipant = "acme-ai"', '[sites.fra-1]\nparticipant = "volt-colo"'
)
AFTER = Registry.parse(SOLD)


def who(organisation: str, role: Role = "participant") -> Principal:
    return Principal(role, organisation, "tests", frozenset({"signal:read"}), datetime.max.replace(tzinfo=UTC))


def at_site(entitled: Entitlements, site: str) -> Entitlements:
    """What a connection for one site has, as the gateway narrows it."""
    return Entitlements(zones=entitled.zones, sites=entitled.sites & {site})


def sees(registry: Registry, principal: Principal) -> bool:
    return may_see(principal, AN_ORDER, registry.entitlements(principal))


def test_the_site_changes_hands_in_this_story() -> None:
    assert BEFORE.sites["fra-1"].participant == "acme-ai"
    assert AFTER.sites["fra-1"].participant == "volt-colo"


@pytest.mark.parametrize("registry", [BEFORE, AFTER])
def test_an_order_is_for_whom_it_was_given_and_who_gave_it(registry: Registry) -> None:
    assert sees(registry, who("acme-ai"))
    assert sees(registry, who("tso-north", "operator"))
    assert not sees(registry, who("volt-colo"))
    assert not sees(registry, who("hyper-infer"))


def test_a_connection_for_another_site_of_the_same_participant_does_not_see_it() -> None:
    entitled = Entitlements(sites=frozenset({"fra-1", "fra-2"}), past_sites=True)
    assert may_see(who("acme-ai"), AN_ORDER, at_site(entitled, "fra-1"))
    assert not may_see(who("acme-ai"), AN_ORDER, at_site(entitled, "fra-2"))


def test_the_new_owner_at_the_site_itself_does_not_see_it() -> None:
    buyer = who("volt-colo")
    assert not may_see(buyer, AN_ORDER, at_site(AFTER.entitlements(buyer), "fra-1"))


@pytest.mark.parametrize(
    ("registry", "role", "name", "known"),
    [
        (BEFORE, "operator", "tso-north", True),
        (BEFORE, "participant", "acme-ai", True),
        (BEFORE, "operator", "acme-ai", False),
        (BEFORE, "participant", "nobody", False),
        (BEFORE, "service", "tso-north", False),
    ],
)
def test_an_organisation_has_a_place_or_none(registry: Registry, role: Role, name: str, known: bool) -> None:
    assert registry.knows(who(name, role)) is known
