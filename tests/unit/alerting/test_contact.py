"""How a site stands with the grid follows from when it was heard, and from its profile."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal.failsafe import Failsafe, FailsafeProfile
from gridsignal_services.alerting.contact import SILENCES, Contact, Contacts, Stand
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


@given(PROFILES, st.lists(st.integers(0, 3000), min_size=1, max_size=20), st.integers(0, 6000), st.data())
def test_in_whatever_order_the_same_words_come_the_same_follows(
    profile: FailsafeEntry, heard_s: list[int], now_s: int, data: st.DataObject
) -> None:
    stands = set[Stand]()
    for order_s in (sorted(heard_s), data.draw(st.permutations(heard_s))):
        contacts = Contacts()
        for at_s in order_s:
            contacts.hear("acme-ai", "fra-1", NOW + timedelta(seconds=at_s), profile.heartbeat_s)
        stands.add(contacts.stand("acme-ai", "fra-1", profile, NOW + timedelta(seconds=max(heard_s) + now_s)))
    assert len(stands) == 1


def test_readings_between_two_answers_are_no_silence_when_they_are_read_after_both() -> None:
    profile = FailsafeEntry(heartbeat_s=300, limit_w=0, minimum_s=7200)
    contacts, over = Contacts(), NOW + timedelta(minutes=85)
    for answered_at in (NOW, over):
        contacts.hear("acme-ai", "fra-1", answered_at, profile.heartbeat_s)
    assert contacts.stand("acme-ai", "fra-1", profile, over).contact is Contact.FAILSAFE
    for minute in range(1, 85):
        contacts.hear("acme-ai", "fra-1", NOW + timedelta(minutes=minute), profile.heartbeat_s)
    assert contacts.stand("acme-ai", "fra-1", profile, over).contact is Contact.HEARD


def test_of_many_silences_the_newest_are_known() -> None:
    profile = FailsafeEntry(heartbeat_s=60, limit_w=0, minimum_s=3600, spread_s=0)
    contacts = Contacts()
    for minute in range(2 * SILENCES):
        contacts.hear("acme-ai", "fra-1", NOW + timedelta(minutes=minute), profile.heartbeat_s)
    newest = NOW + timedelta(minutes=2 * SILENCES - 1)
    stand = contacts.stand("acme-ai", "fra-1", profile, newest)
    assert stand.until == newest + timedelta(seconds=3600)
