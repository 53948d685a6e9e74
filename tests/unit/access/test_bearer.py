"""Who carries a token, and what a door says back, by one rule at every door."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.rules.access import Entitlements, zone_fault
from gridsignal_services.access.bearer import bearer_of


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        (["Bearer a.b.c"], "a.b.c"),
        (["bEARER   a.b.c \t"], "a.b.c"),
        (["Bearer"], ""),
        ([], None),
        (["Basic a.b.c"], None),
        (["Bearera.b.c"], None),
        (["Bearer a.b.c", "Bearer a.b.c"], None),
    ],
)
def test_one_header_of_the_bearer_scheme_carries_a_token(headers: Sequence[str], token: str | None) -> None:
    assert bearer_of(headers) == token


@given(st.text(max_size=300), st.frozensets(st.sampled_from(["DE-LU", "FR", "GB"])))
def test_whatever_zone_is_asked_for_is_said_back_cut(zone: str, mine: frozenset[str]) -> None:
    found = zone_fault(zone, "?zone", Entitlements(zones=mine))
    assert (found is None) == (zone in mine)
    assert found is None or len(found.message) < 120
