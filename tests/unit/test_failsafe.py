"""A site that lost the grid keeps its limit, and returns by a permit or in its own time, not by hearing again."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal import MW, OnCommsLoss
from gridsignal.failsafe import Contact, Failsafe, FailsafeProfile
from tests.builders import a_dispatch_order, utc

NOW = utc("12:00")
PROFILES = st.builds(
    FailsafeProfile,
    heartbeat_s=st.integers(1, 300),
    limit_w=st.integers(0, 60 * MW),
    minimum_s=st.integers(0, 7200),
    spread_s=st.integers(0, 1200),
)
EVENTS = st.lists(st.tuples(st.integers(1, 900), st.sampled_from(["heard", "permit", "look"])), max_size=40)


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


@given(PROFILES, st.floats(0, 1), EVENTS)
def test_whatever_happens_the_limit_holds_from_the_loss_on_for_its_minimum_or_until_a_permit(
    profile: FailsafeProfile, drawn: float, events: list[tuple[int, str]]
) -> None:
    failsafe, at_s, heard_s = Failsafe(profile, NOW, lambda: drawn), 0, 0
    limited_since_s: int | None = None
    for step_s, event in events:
        lost_s = heard_s + profile.heartbeat_s
        at_s += step_s
        before = failsafe.at(NOW + after(at_s))
        if limited_since_s is None and at_s >= lost_s and before.contact is Contact.FAILSAFE:
            limited_since_s = lost_s
        if limited_since_s is not None and at_s < limited_since_s + profile.minimum_s:
            assert before.limit_w == profile.limit_w
        if at_s < lost_s and limited_since_s is None:
            assert before.contact is not Contact.ALONE
        if before.contact is not Contact.FAILSAFE:
            limited_since_s = None
        if event == "permit":
            failsafe.permit(NOW + after(at_s))
            heard_s, limited_since_s = at_s, None
            assert failsafe.at(NOW + after(at_s)).contact is Contact.HEARD
        elif event == "heard":
            failsafe.heard(NOW + after(at_s))
            heard_s = at_s
            assert (failsafe.at(NOW + after(at_s)).limit_w is None) == (before.limit_w is None)


@given(PROFILES, st.floats(0, 1), st.integers(0, 7200))
def test_looking_often_or_seldom_makes_no_difference(profile: FailsafeProfile, drawn: float, at_s: int) -> None:
    often, seldom = (Failsafe(profile, NOW, lambda: drawn) for _ in range(2))
    for second in range(0, at_s, 97):
        often.at(NOW + after(second))
    assert often.at(NOW + after(at_s)) == seldom.at(NOW + after(at_s))


@given(PROFILES, st.floats(0, 1))
def test_a_silent_site_is_limited_then_alone_and_heard_at_the_first_word(
    profile: FailsafeProfile, drawn: float
) -> None:
    failsafe = Failsafe(profile, NOW, lambda: drawn)
    heard = failsafe.at(NOW)
    assert (heard.contact, heard.limit_w, heard.until) == (Contact.HEARD, None, NOW + after(profile.heartbeat_s))
    least_s = profile.heartbeat_s + profile.minimum_s
    alone_at = NOW + after(least_s + profile.spread_s * drawn)
    alone = failsafe.at(alone_at)
    assert (alone.contact, alone.limit_w, alone.until) == (Contact.ALONE, None, None)
    assert NOW + after(least_s) <= alone_at <= NOW + after(least_s + profile.spread_s)
    failsafe.heard(alone_at)
    assert failsafe.at(alone_at).contact is Contact.HEARD


def test_a_clock_that_goes_back_gives_no_contact_back() -> None:
    failsafe = Failsafe(FailsafeProfile(60, 0, 600), NOW, lambda: 0.0)
    assert failsafe.at(NOW + after(61)).contact is Contact.FAILSAFE
    assert failsafe.at(NOW - after(3600)).contact is Contact.FAILSAFE


def test_an_order_says_itself_what_becomes_of_it_and_else_the_profile_does() -> None:
    failsafe = Failsafe(FailsafeProfile(60, 0, 600, OnCommsLoss.RESTORE), NOW, lambda: 0.0)
    assert failsafe.of(a_dispatch_order(on_comms_loss="HOLD")) is OnCommsLoss.HOLD
    assert failsafe.of(a_dispatch_order(on_comms_loss="UNKNOWN")) is OnCommsLoss.RESTORE


@given(PROFILES, st.floats(0, 1), EVENTS, st.integers(0, 7200))
def test_who_starts_anew_with_what_was_kept_decides_the_same(
    profile: FailsafeProfile, drawn: float, events: list[tuple[int, str]], later_s: int
) -> None:
    failsafe, at_s = Failsafe(profile, NOW, lambda: drawn), 0
    for step_s, event in events:
        at_s += step_s
        getattr(failsafe, "at" if event == "look" else event)(NOW + after(at_s))
        anew = Failsafe(profile, NOW + after(at_s), lambda: drawn, failsafe.state)
        assert anew.at(NOW + after(at_s)) == failsafe.at(NOW + after(at_s))
    hour = timedelta(hours=1)
    other = Failsafe(profile, NOW + after(at_s) + hour, lambda: drawn, failsafe.state.later(hour))
    at = NOW + after(at_s + later_s)
    assert other.at(at + hour).contact is failsafe.at(at).contact


@given(PROFILES, EVENTS)
def test_it_is_silent_from_the_heartbeats_limit_on_until_it_is_heard(
    profile: FailsafeProfile, events: list[tuple[int, str]]
) -> None:
    failsafe, at_s, heard_s = Failsafe(profile, NOW, lambda: 0.5), 0, 0
    for step_s, event in events:
        at_s += step_s
        assert failsafe.at(NOW + after(at_s)).is_silent == (at_s - heard_s >= profile.heartbeat_s)
        if event != "look":
            getattr(failsafe, event)(NOW + after(at_s))
            heard_s = at_s
            assert not failsafe.at(NOW + after(at_s)).is_silent
