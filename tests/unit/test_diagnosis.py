"""What a doctor makes of what was seen: whatever is not well says what to do, and nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services import diagnosis
from gridsignal_services.diagnosis import FeedSeen, Finding, SecretFile, State

NOW = datetime(2030, 5, 12, tzinfo=UTC)
MOMENTS = st.datetimes(NOW.replace(tzinfo=None) - timedelta(days=800), NOW.replace(tzinfo=None) + timedelta(days=800))
SEEN = MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC))
BYTES = st.integers(0, 10**12)
FINDINGS = st.one_of(
    st.builds(diagnosis.of_clock, st.just(NOW), st.none() | SEEN, st.none() | SEEN, st.none() | st.booleans()),
    st.builds(diagnosis.of_disk, BYTES, BYTES, BYTES),
    st.builds(diagnosis.of_certificate, SEEN, SEEN, st.just(["a.example"]), st.just(NOW), st.none() | st.just("b")),
    st.builds(diagnosis.of_open_files, st.integers(1, 10**6), st.integers(1, 10**6)),
)


def states(*findings: Finding) -> list[State]:
    return [finding.state for finding in findings]


@given(FINDINGS)
def test_whatever_is_not_well_says_what_to_do_and_nothing_else_does(finding: Finding) -> None:
    assert bool(finding.todo) == (finding.state is not State.OK)


@given(st.integers(-100, 100), st.integers(-100, 100))
def test_a_clock_is_wrong_where_it_is_behind_the_log_or_apart_from_the_issuer(behind_s: int, apart_s: int) -> None:
    newest, elsewhere = NOW + timedelta(seconds=behind_s), NOW + timedelta(seconds=apart_s)
    found = diagnosis.of_clock(NOW, newest, elsewhere, None)
    assert (found.state is State.WRONG) == (behind_s > 2 or abs(apart_s) > 3)


@given(st.integers(0, 0o777), st.booleans())
def test_a_secret_is_its_owner_s_alone_and_a_service_s_group_may_read_it_where_that_is_meant(
    mode: int, for_group: bool
) -> None:
    (found,) = diagnosis.of_modes([SecretFile("/etc/key.pem", mode, for_group)])
    others, group = mode & 0o007, (mode >> 3) & 0o007
    is_open = bool(others) or bool(group & 0o002) or (bool(group) and not for_group)
    if not for_group or not group & 0o001:
        assert (found.state is State.WRONG) == is_open
    if found.state is State.WRONG:
        assert found.todo.startswith("chmod ")
        assert found.todo.endswith(" /etc/key.pem")


def test_a_certificate_is_told_of_before_it_ends_and_where_it_is_for_another_name() -> None:
    def of(days: int, wanted: str | None = None) -> State:
        names = ["grid.example.com", "*.sites.example.com"]
        begins = NOW - timedelta(days=1)
        return diagnosis.of_certificate(begins, NOW + timedelta(days=days), names, NOW, wanted).state

    assert [of(days) for days in (-1, 13, 14)] == [State.WRONG, State.WARNING, State.OK]
    known = ["GRID.example.com", "a.sites.example.com", "grid.example.com."]
    assert [of(90, name) for name in known] == [State.OK] * 3
    strange = ["sites.example.com", "a.b.sites.example.com", "example.com", "grid"]
    assert [of(90, name) for name in strange] == [State.WRONG] * 4


def test_a_door_that_runs_is_told_with_its_reason_and_a_stranger_on_its_port_is_wrong() -> None:
    ports = {"gateway": 8081, "dispatch": 8082, "ingest": 8083}
    health = {
        "gateway": {"live": True, "ready": True, "reason": ""},
        "ingest": {"live": True, "ready": True, "reason": "no figures from entsoe"},
        "log": {"live": True, "ready": False, "reason": "the disk is full"},
    }
    found = diagnosis.of_doors(ports, health, frozenset({8081, 8082, 8083}))
    assert [(each.check, each.state) for each in found] == [
        ("gateway", State.OK),
        ("ports", State.WRONG),
        ("ingest", State.WARNING),
        ("log", State.WRONG),
    ]
    assert found[3].found == "the disk is full"
    assert states(*diagnosis.of_doors(ports, {}, frozenset())) == [State.OK] * 3


def test_a_feed_is_wrong_where_it_is_stale_and_says_when_it_last_gave_something() -> None:
    feeds = [
        FeedSeen("entsoe DE-LU price", NOW - timedelta(minutes=61), False),
        FeedSeen("gb_carbon GB carbon", NOW - timedelta(days=2), True),
        FeedSeen("aemo NSW1 price", None, False),
    ]
    found = diagnosis.of_feeds(feeds, NOW)
    assert states(*found) == [State.OK, State.WRONG, State.WARNING]
    assert [each.found.split(": ")[1] for each in found] == [
        "last good answer 1 h ago",
        "last good answer 2 d ago",
        "no good answer since the door began",
    ]
