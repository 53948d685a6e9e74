"""Which of two figures counts more is one order: within an answer, against what was published, and for who asks."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridsignal_schemas.messages import CarbonStatus, PriceStatus
from gridsignal_schemas.rules.series import Series, status_rank
from gridsignal_schemas.rules.vintages import Best, Logged
from gridsignal_services.ingest.left_out import LeftOutRows
from gridsignal_services.ingest.overlaps import distinct
from gridsignal_services.ingest.revisions import News, SeriesRevisions
from tests.builders import a_carbon_intensity, a_spot_price, utc

Status = PriceStatus | CarbonStatus
PAIRS: list[tuple[Status, Status]] = [
    (one, other) for status in (PriceStatus, CarbonStatus) for one in status for other in status
]


def told(status: Status, value: int) -> Series:
    common = {"status": status, "issued_at": utc("10:00")}
    if isinstance(status, PriceStatus):
        return a_spot_price(prices_per_mwh=[Decimal(value)], **common)
    return a_carbon_intensity(grams_per_kwh=[Decimal(value)], **common)


@pytest.mark.parametrize(("first", "then"), PAIRS)
def test_which_of_two_figures_counts_more_is_one_order(first: Status, then: Status) -> None:
    one, other = told(first, 1), told(then, 2)
    is_less, is_more = status_rank(then) < status_rank(first), status_rank(then) > status_rank(first)

    best = Best(one.starts_at, one.ends_at, utc("23:00"))
    for series in (one, other):
        best.take(Logged(utc("12:00"), series))
    ((known,),) = best.curves()
    assert known.source.series == (one if is_less else other)

    if isinstance(first, CarbonStatus) and (first == CarbonStatus.FORECAST) != (then == CarbonStatus.FORECAST):
        return  # a forecast of carbon is a series of its own: neither replaces the other
    if is_less or is_more:
        assert distinct([one, other], LeftOutRows()) == [one if is_less else other]
    revisions = SeriesRevisions()
    revisions.learn(one)
    is_correction = {first, then} == {PriceStatus.FINAL, PriceStatus.CORRECTED}  # of a price that was settled
    assert (revisions.judge(other).news is News.LOWER) == (is_less and not is_correction)


@pytest.mark.parametrize("status", [PriceStatus, CarbonStatus])
def test_each_status_counts_more_than_the_one_before_and_an_unknown_one_as_a_forecast(status: type[Status]) -> None:
    unknown, *known = status
    assert [status_rank(each) for each in known] == list(range(len(known)))
    assert status_rank(unknown) == status_rank(known[0])
