"""The table of alerts: the first word of each kind counts, whatever comes later and in whatever order."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import AckState
from gridsignal_services.alerting.table import REVISIONS, AlertTable
from tests.builders import a_grid_alert, an_alert_ack

NAME = ("DE-LU", "tso-north", "alert-1")
BEGAN = a_grid_alert().issued_at
STATES = [state for state in AckState if state is not AckState.UNKNOWN]
WORDS = st.lists(
    st.tuples(st.sampled_from(["fra-1", "ber-1"]), st.sampled_from(STATES), st.integers(1, 3), st.integers(0, 600)),
    max_size=30,
)


@given(WORDS)
def test_of_each_site_revision_and_kind_the_first_word_counts(words: list[tuple[str, AckState, int, int]]) -> None:
    table = AlertTable()
    table.publish(a_grid_alert(), BEGAN)
    table.publish(a_grid_alert(revision=2), BEGAN)
    first: dict[tuple[int, str, AckState], int] = {}
    for site, state, revision, after_s in words:
        ack = an_alert_ack(site=site, state=state, revision=revision)
        assert table.acknowledge(ack, BEGAN + timedelta(seconds=after_s)) == (revision < 3)
        if revision < 3:
            first.setdefault((revision, site, state), after_s)
    known = table.of(NAME)
    assert known is not None
    said = {
        (number, site, state): (word.logged_at - BEGAN).seconds
        for number, revision in known.revisions.items()
        for site, of_site in revision.said.items()
        for state, word in of_site.items()
    }
    assert said == first


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40))
def test_the_newest_revision_counts_and_older_ones_that_come_late_change_nothing(revisions: list[int]) -> None:
    table = AlertTable()
    for revision in revisions:
        table.publish(a_grid_alert(revision=revision), BEGAN)
    known = table.of(NAME)
    assert known is not None
    assert known.newest.alert.revision == max(revisions)
    assert list(known.revisions) == sorted(known.revisions)
    assert len(known.revisions) <= REVISIONS


@given(st.booleans(), st.booleans(), st.sampled_from([None, "alert-1", "another"]))
def test_an_alert_ends_another_only_where_it_says_so_and_a_drill_ends_nothing_real(
    older_drill: bool, newer_drill: bool, supersedes: str | None
) -> None:
    table = AlertTable()
    table.publish(a_grid_alert(is_drill=older_drill), BEGAN)
    table.publish(a_grid_alert(alert_id="alert-2", is_drill=newer_drill, supersedes=supersedes), BEGAN)
    known, newer = table.of(NAME), table.of((*NAME[:2], "alert-2"))
    assert known is not None
    assert newer is not None
    ends = supersedes == "alert-1" and (older_drill or not newer_drill)
    assert known.is_over(BEGAN) == ends
    assert known.superseded_by == ("alert-2" if ends else None)
    assert not newer.is_over(BEGAN)


def test_of_another_provider_none_is_superseded() -> None:
    table = AlertTable()
    table.publish(a_grid_alert(), BEGAN)
    table.publish(a_grid_alert(alert_id="alert-2", provider="supplier-one", supersedes="alert-1"), BEGAN)
    known = table.of(NAME)
    assert known is not None
    assert known.superseded_by is None


@given(st.integers(1, 86_400), st.integers(1, 86_400), st.integers(-3600, 3600))
def test_what_has_to_be_done_is_due_after_it_was_logged_and_has_begun(ack_s: int, apply_s: int, ahead_s: int) -> None:
    table = AlertTable()
    starts_at = BEGAN + timedelta(seconds=ahead_s)
    alert = a_grid_alert(starts_at=starts_at, acknowledge_within_s=ack_s, apply_within_s=apply_s)
    table.publish(alert, BEGAN)
    known = table.of(NAME)
    assert known is not None
    assert known.newest.receive_by == BEGAN + timedelta(seconds=ack_s)
    assert known.newest.apply_by == max(BEGAN, starts_at) + timedelta(seconds=apply_s)


def test_of_a_provider_with_too_many_alerts_the_oldest_goes_and_nobody_elses() -> None:
    table = AlertTable(most=3)
    table.publish(a_grid_alert(provider="supplier-one"), BEGAN)
    for number in range(5):
        table.publish(a_grid_alert(alert_id=f"alert-{number}"), BEGAN)
    assert sorted(name[1:] for name, _ in table.all()) == [
        ("supplier-one", "alert-1"),
        ("tso-north", "alert-2"),
        ("tso-north", "alert-3"),
        ("tso-north", "alert-4"),
    ]
