"""How a site stands with the grid follows from when it was heard, and from its profile."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal.failsafe import Failsafe, FailsafeProfile
from gridsignal_services.alerting.contact import Contact, Contacts
from gridsignal_services.registry import FailsafeEntry
from tests.builders import utc

NOW = utc("12:00")
PROFILES = st.builds(
    FailsafeEntry,
    heartbeat_s=st.integers(1, 300),
    limit_w=st.just(0),
    minimum_s=st.integers(0, 3600),
    spread_s=st.integers(0, 600),
)
GAPS = st.lists(st.integers(1, 900), min_size=1, max_size=20)


@given(PROFILES, GAPS, st.floats(0, 1))
def test_the_operator_never_takes_a_site_for_free_that_keeps_its_limit(
    profile: FailsafeEntry, gaps_s: list[int], drawn: float
) -> None:
    agreed = FailsafeProfile(profile.heartbeat_s, profile.limit_w, profile.minimum_s, spread_s=profile.spread_s)
    contacts, site, now = Contacts(), Failsafe(agreed, NOW, lambda: drawn), NOW
    contacts.hear("acme-ai", "fra-1", now, profile.heartbeat_s)
    for gap_s in gaps_s:
        now += timedelta(seconds=gap_s)
        stand, own = contacts.stand("acme-ai", "fra-1", profile, now), site.at(now)
        if own.contact.value == "FAILSAFE":
            assert stand.contact is Contact.FAILSAFE
            assert stand.until is not None
            assert own.until is not None
            assert own.until <= stand.until
        assert stand.is_silent == (gap_s >= profile.heartbeat_s)
        contacts.hear("acme-ai", "fra-1", now, profile.heartbeat_s)
        site.heard(now)


@given(PROFILES)
def test_who_was_never_heard_is_not_known(profile: FailsafeEntry) -> None:
    contacts = Contacts()
    contacts.hear("acme-ai", "fra-1", NOW, profile.heartbeat_s)
    stand = contacts.stand("hyper-infer", "fra-1", profile, NOW)  # it changed hands
    assert (stand.contact, stand.is_silent) == (Contact.UNKNOWN, True)
    assert contacts.heard_at("hyper-infer", "fra-1") is None
