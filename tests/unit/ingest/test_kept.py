"""What is kept of series stays within its budget, and one owner's abundance costs itself."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.ingest.intake import Intake
from gridsignal_services.ingest.kept import Kept
from gridsignal_services.ingest.revisions import SeriesRevisions
from tests.builders import a_spot_price


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.integers(1, 60)), max_size=200))
def test_whatever_is_put_the_budget_holds_and_the_newest_is_there(puts: list[tuple[str, int, int]]) -> None:
    kept: Kept[int] = Kept(most=150, most_of_one=100)
    for owner, key, points in puts:
        kept.put(f"{owner}{key}", owner, points, points)
        assert kept.points <= 150
        assert kept.get(f"{owner}{key}") == points
        assert kept.points == sum(kept.values())


def test_who_pushes_much_forgets_its_own_and_nobody_else_s() -> None:
    revisions = SeriesRevisions(Kept(most=1_000, most_of_one=400))
    modest = a_spot_price(provider="modest")
    revisions.learn(modest)
    for number in range(500):
        revisions.learn(a_spot_price(provider="greedy", dataset=f"d{number}", prices_per_mwh=[Decimal(1)] * 100))
    assert revisions.last(modest) == modest
    assert len(revisions) < 6


def test_the_kinds_of_a_provider_are_counted() -> None:
    intake = Intake()
    for dataset in ("a", "b", "a"):
        intake.learn(a_spot_price(provider="acme", dataset=dataset))
    assert intake.kinds_of("acme") == 2
    assert intake.knows_kind(a_spot_price(provider="acme", dataset="b"))
    assert not intake.knows_kind(a_spot_price(provider="acme", dataset="c"))
