"""New, corrected or known, by comparison alone."""

from __future__ import annotations

from decimal import Decimal

from gridsignal_schemas.messages import CarbonIntensity, SpotPrice
from gridsignal_services.ingest.kept import Kept, weight
from gridsignal_services.ingest.revisions import News, SeriesRevisions
from tests.builders import a_carbon_intensity, a_grid_alert, a_spot_price, utc


def published(*records: SpotPrice | CarbonIntensity) -> SeriesRevisions:
    revisions = SeriesRevisions()
    for record in records:
        revisions.learn(record)
    return revisions


def test_a_series_never_seen_is_new_and_gets_revision_one() -> None:
    verdict = SeriesRevisions().judge(a_spot_price(revision=7))
    assert verdict.news is News.NEW
    assert verdict.publish == a_spot_price(revision=1)


def test_the_same_figures_again_are_known_whenever_they_were_read() -> None:
    verdict = published(a_spot_price()).judge(a_spot_price(observed_at=utc("20:00"), flags=["gap"]))
    assert verdict.news is News.KNOWN
    assert verdict.publish is None


def test_a_changed_price_is_a_correction_with_the_next_revision_and_says_so() -> None:
    first = a_spot_price(revision=3)
    prices = [Decimal("1.5"), *first.prices_per_mwh[1:]]
    verdict = published(first).judge(a_spot_price(prices_per_mwh=prices))
    assert verdict.news is News.CORRECTED
    assert isinstance(verdict.publish, SpotPrice)
    assert (verdict.publish.revision, verdict.publish.status) == (4, "CORRECTED")
    assert published(verdict.publish).judge(a_spot_price(prices_per_mwh=prices)).publish is None


def test_a_second_correction_follows_the_first() -> None:
    first = a_spot_price(revision=2, status="CORRECTED")
    verdict = published(first).judge(a_spot_price(prices_per_mwh=[Decimal(1)] * 24))
    assert isinstance(verdict.publish, SpotPrice)
    assert (verdict.publish.revision, verdict.publish.status) == (3, "CORRECTED")


def test_a_lower_status_never_overwrites() -> None:
    verdict = published(a_spot_price()).judge(a_spot_price(status="PRELIMINARY", prices_per_mwh=[Decimal(1)] * 24))
    assert verdict.news is News.LOWER
    measured = published(a_carbon_intensity())
    assert measured.judge(a_carbon_intensity(status="ESTIMATED", grams_per_kwh=[Decimal(9)] * 24)).publish is None


def test_estimated_becomes_measured_as_a_revision_of_the_same_series_even_with_equal_values() -> None:
    verdict = published(a_carbon_intensity(status="ESTIMATED")).judge(a_carbon_intensity())
    assert isinstance(verdict.publish, CarbonIntensity)
    assert (verdict.publish.revision, verdict.publish.status) == (2, "MEASURED")


def test_preliminary_becomes_final_as_a_revision() -> None:
    verdict = published(a_spot_price(status="PRELIMINARY")).judge(a_spot_price())
    assert isinstance(verdict.publish, SpotPrice)
    assert (verdict.publish.revision, verdict.publish.status) == (2, "FINAL")


def test_a_short_answer_takes_nothing_back() -> None:
    full = a_spot_price()
    gappy = [None if i > 20 else value for i, value in enumerate(full.prices_per_mwh)]
    assert published(full).judge(a_spot_price(prices_per_mwh=gappy)).news is News.KNOWN
    assert published(full).judge(a_spot_price(prices_per_mwh=gappy[:10])).news is News.KNOWN


def test_a_gap_that_is_filled_is_a_revision() -> None:
    full = a_spot_price()
    gappy = [None, *full.prices_per_mwh[1:]]
    verdict = published(a_spot_price(prices_per_mwh=gappy)).judge(full)
    assert isinstance(verdict.publish, SpotPrice)
    assert verdict.publish.prices_per_mwh == full.prices_per_mwh


def test_series_of_different_basis_vintage_or_provider_are_never_compared() -> None:
    revisions = published(a_carbon_intensity())
    for other in (
        a_carbon_intensity(accounting="MARGINAL"),
        a_carbon_intensity(scope="DIRECT"),
        a_carbon_intensity(mix="PRODUCTION"),
        a_carbon_intensity(provider="other"),
        a_carbon_intensity(status="FORECAST", issued_at=utc("10:00")),
    ):
        assert revisions.judge(other).news is News.NEW


def test_an_alert_is_compared_by_its_content() -> None:
    revisions = SeriesRevisions()
    revisions.learn(a_grid_alert())
    assert revisions.judge(a_grid_alert()).news is News.KNOWN
    verdict = revisions.judge(a_grid_alert(text="over", ends_at=utc("23:00")))
    assert verdict.news is News.CORRECTED
    assert verdict.publish is not None


def test_the_oldest_series_is_forgotten_when_there_are_too_many() -> None:
    revisions = SeriesRevisions(Kept(most=2 * weight(a_spot_price())))
    for zone in ("DE-LU", "FR", "NL"):
        revisions.learn(a_spot_price(zone=zone))
    assert len(revisions) == 2
    assert revisions.judge(a_spot_price(zone="DE-LU")).news is News.NEW
    assert revisions.judge(a_spot_price(zone="NL")).news is News.KNOWN
