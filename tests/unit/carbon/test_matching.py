"""Matching by the hour: sums, certificates that count once, carbon that is never filled in; the page's example."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import Accounting, CarbonIntensity, EnergyCertificate, MeterReading
from gridsignal_schemas.reports import CarbonTotal, SiteMatching
from gridsignal_schemas.rules.vintages import Best, Logged
from gridsignal_services.carbon.certificates import Taken, counted
from gridsignal_services.carbon.known import chosen, known_of
from gridsignal_services.carbon.matching import Site, carbon_of_sites, hours_between, matched, total_of_sites
from gridsignal_services.carbon.read_month import ReadMonth
from gridsignal_services.dispatch.statement import Month
from gridsignal_services.settlement.energy import Energies, Gap, Installed, net_means
from tests.builders import a_carbon_intensity, a_meter_reading, utc

PAGE = (Path(__file__).parents[3] / "docs" / "carbon.md").read_text("utf-8")
TEN = utc("10:00")
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)
MW = MWH = 1_000_000
FRA = Site("fra-1", "DE-LU", "Europe/Berlin", 60 * MW, {})


def reading(at: datetime, import_w: int, length: timedelta = HOUR, **named: int | None) -> MeterReading:
    certificates = [
        EnergyCertificate(certificate_id=name.replace("_", "-"), energy_wh=wh) for name, wh in named.items()
    ]
    return a_meter_reading(
        starts_at=at, ends_at=at + length, import_w=import_w, export_w=0, seq=1, certificates=certificates or None
    )


def carbon(at: datetime, grams: list[str | None], resolution: timedelta = HOUR, **changes: Any) -> Logged:
    values = [None if each is None else Decimal(each) for each in grams]
    said = {"zone": "DE-LU", "starts_at": at, "resolution_s": int(resolution.total_seconds()), "grams_per_kwh": values}
    series: CarbonIntensity = a_carbon_intensity(**said | {"accounting": Accounting.AVERAGE} | changes)
    return Logged(at, series)


def report(said: list[MeterReading], hours: int, *known: Logged) -> SiteMatching:
    day = hours_between(TEN, TEN + hours * HOUR)
    energies = Energies(net_means(said, FRA.capacity_w))
    best = Best(day[0][0], day[-1][1], utc("23:00"))
    for each in known:
        best.take(each)
    certified, uncounted = counted(said, day, Taken())
    found = [(hour, energies.over(*hour)) for hour in day]
    return matched(FRA, found, certified, uncounted, known_of(best), utc("23:00"))


def test_the_example_of_the_page_comes_to_its_figures() -> None:
    (said,) = re.findall(r"<!-- example: matching -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    expected = json.loads(said)
    readings = [
        reading(TEN, 10 * MW, gc_1=4 * MWH, gc_2=3 * MWH),
        reading(TEN + HOUR, 6 * MW, gc_1=4 * MWH, gc_3=8 * MWH),
        reading(TEN + 2 * HOUR, 5 * MW),
    ]
    found = json.loads(report(readings, 3, carbon(TEN, ["300", "260", "200", "200"], HOUR / 2)).model_dump_json())
    assert found["totals"] == expected["totals"]
    for each in found["carbon"]:
        wanted = expected[each["accounting"].lower()]
        assert {name: each[name] for name in wanted} == wanted
    assert [(each["certificate_id"], each["why"]) for each in found["uncounted"]] == [("gc-1", "NAMED_BEFORE")]
    for hour, wanted in zip(found["hours"], expected["hours"], strict=True):
        average = hour["average"] or dict.fromkeys(("grams_per_kwh", "grams", "uncovered_grams"))
        assert {name: (hour | average)[name] for name in wanted} == wanted
    assert [len((hour["average"] or {"vintages": []})["vintages"]) for hour in found["hours"]] == [1, 1, 0]


named = st.dictionaries(
    st.sampled_from([f"gc-{n}" for n in range(5)]), st.none() | st.integers(0, 20 * MWH), max_size=4
)
quarters = st.lists(st.tuples(st.none() | st.integers(0, 30 * MW), named), min_size=4, max_size=24)


@given(quarters, st.lists(st.none() | st.integers(0, 900), max_size=6))
def test_the_hours_add_up_and_no_certificate_counts_twice(
    said: list[tuple[int | None, dict[str, int | None]]], grams: list[int | None]
) -> None:
    readings = [
        reading(TEN + place * QUARTER, import_w, QUARTER, **certificates)
        for place, (import_w, certificates) in enumerate(said)
        if import_w is not None
    ]
    hours = -(-len(said) // 4)
    known = [carbon(TEN, [None if each is None else str(each) for each in grams])] if grams else []
    found = report(readings, hours, *known)

    counting = [name for hour in found.hours for name in hour.certificates]
    assert len(counting) == len(set(counting))
    energies = {name: [c[name] for _, c in said if c.get(name) is not None] for name in counting}
    assert sum(hour.certified_wh for hour in found.hours) <= sum(max(each) for each in energies.values())
    for place, hour in enumerate(found.hours):
        quarters_said = [import_w for import_w, _ in said[4 * place : 4 * place + 4]]
        assert (hour.consumed_wh is None) == (None in quarters_said or len(quarters_said) < 4)
        if hour.consumed_wh is not None and hour.matched_wh is not None:
            assert hour.matched_wh + (hour.uncovered_wh or 0) == hour.consumed_wh
            assert hour.matched_wh <= hour.certified_wh
        said_grams = grams[place] if place < len(grams) else None
        assert (hour.average is None) == (said_grams is None)
    total = found.totals
    quarter_sum = sum(
        sum(import_w or 0 for import_w, _ in said[4 * place : 4 * place + 4])
        for place, hour in enumerate(found.hours)
        if hour.consumed_wh is not None
    )
    assert abs(4 * total.consumed_wh - quarter_sum) <= 2
    assert (total.matched_wh + total.uncovered_wh, found.carbon[0].known_wh + found.carbon[0].unknown_wh) == (
        total.consumed_wh,
        total.consumed_wh,
    )


def test_a_certificate_counts_once_in_its_hour_with_the_least_energy_that_is_said() -> None:
    readings = [reading(TEN + n * QUARTER, 4 * MW, QUARTER, gc=(3 - n % 2) * MWH) for n in range(4)]
    (hour,) = report(readings, 1).hours
    assert (hour.certified_wh, hour.matched_wh, hour.certificates) == (2 * MWH, 2 * MWH, ["gc"])


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (reading(TEN, MW, gc=None), "NO_ENERGY"),
        (reading(TEN, MW, 2 * HOUR, gc=MWH), "SEVERAL_HOURS"),
        (reading(TEN + HOUR / 2, MW, HOUR, gc=MWH), "SEVERAL_HOURS"),
    ],
)
def test_what_can_not_be_matched_is_named(said: MeterReading, why: str) -> None:
    found = report([said], 2)
    assert [each.why for each in found.uncounted] == [why]
    assert found.totals.certified_wh == 0


def test_a_correction_takes_back_what_was_named() -> None:
    first = reading(TEN, MW, gc=MWH)
    later = first.model_copy(update={"seq": 2, "certificates": None})
    assert report([first, later], 1).totals.certified_wh == 0
    assert report([first.model_copy(update={"seq": 3}), later], 1).totals.certified_wh == MWH


def test_two_sites_do_not_share_a_certificate() -> None:
    hours, taken = hours_between(TEN, TEN + HOUR), Taken()
    first, passed = counted([reading(TEN, MW, gc=MWH)], hours, taken)
    second, again = counted([reading(TEN, MW, gc=MWH)], hours, taken)
    assert (first, passed, second) == ({TEN: {"gc": MWH}}, [], {})
    assert [each.why for each in again] == ["NAMED_BEFORE"]


def test_more_given_than_taken_is_nothing_consumed() -> None:
    said = a_meter_reading(starts_at=TEN, ends_at=TEN + HOUR, import_w=0, export_w=MW)
    assert report([said], 1, carbon(TEN, ["100"])).totals.consumed_wh == 0


def test_the_basis_that_knows_most_is_used_and_never_another_beside_it() -> None:
    long, short = carbon(TEN, ["100", "100", None]), carbon(TEN, ["900"] * 1, scope="DIRECT")
    found = report([reading(TEN + n * HOUR, MW) for n in range(3)], 3, short, long)
    average = found.carbon[0]
    assert (average.basis and average.basis.scope, average.grams, average.unknown_wh) == ("LIFECYCLE", 200_000, MWH)


def test_a_gap_that_was_published_later_is_a_gap() -> None:
    known = [carbon(TEN, ["100"]), carbon(TEN, [None], revision=2)]
    best = Best(TEN, TEN + HOUR, utc("23:00"))
    for each in known:
        best.take(each)
    assert chosen(known_of(best), Accounting.AVERAGE, TEN, TEN + HOUR) is None


def test_sites_are_added_and_what_differs_in_zone_or_basis_is_not() -> None:
    said = [reading(TEN, MW)]
    here, there = report(said, 1, carbon(TEN, ["100"])), report(said, 1, carbon(TEN, ["100"], scope="DIRECT"))
    assert total_of_sites([here.totals, there.totals]).consumed_wh == 2 * MWH
    totals: list[CarbonTotal] = carbon_of_sites([*here.carbon, *here.carbon, *there.carbon])
    assert [(total.accounting, total.grams) for total in totals] == [
        ("AVERAGE", 200_000),
        ("MARGINAL", 0),
        ("AVERAGE", 100_000),
    ]


@pytest.mark.parametrize(("month", "hours"), [("2026-03", 743), ("2026-10", 745), ("2026-02", 672)])
def test_a_month_has_the_hours_that_pass(month: str, hours: int) -> None:
    zone_time = ZoneInfo("Europe/Berlin")
    found = hours_between(Month.parse(month).begins(zone_time), Month.parse(month).ends(zone_time))
    assert (len(found), found[-1][1]) == (hours, Month.parse(month).ends(zone_time))


def two_days(first: list[MeterReading], second: list[MeterReading]) -> ReadMonth:
    read, taken, hours = ReadMonth(), Taken(), hours_between(TEN, TEN + 48 * HOUR)
    read.take(first, hours[:24], FRA, taken)
    read.take(second, hours[24:], FRA, taken)
    return read


def test_a_meter_that_has_spoken_is_expected_to_speak_on_the_days_that_follow() -> None:
    other = reading(TEN, MW).model_copy(update={"meter": "other"})
    read = two_days([reading(TEN, MW), other], [reading(TEN + 24 * HOUR, MW)])
    assert read.energies[0][1].gap is None
    assert read.energies[24][1].gap is Gap.METER_MISSING


def test_a_meter_that_comes_later_is_not_missed_on_the_days_before() -> None:
    after = reading(TEN + 24 * HOUR, MW)
    read = two_days([reading(TEN, MW)], [after, after.model_copy(update={"meter": "other"})])
    assert [read.energies[place][1].gap for place in (0, 24)] == [None, None]
    assert read.energies[24][1].watt_us == 2 * (read.energies[0][1].watt_us or 0)


def test_an_hour_with_more_readings_than_are_added_up_says_so_and_may_have_what_later_hours_name() -> None:
    read, hours, taken = ReadMonth(), hours_between(TEN, TEN + 3 * HOUR), Taken()
    read.take([reading(TEN, MW, gc_1=MWH)], hours[:1], FRA, taken)
    read.lose(hours[1], taken)
    read.take([reading(TEN + 2 * HOUR, MW, gc_1=MWH, gc_2=MWH)], hours[2:], FRA, taken)
    assert [energy.gap for _, energy in read.energies] == [None, Gap.TOO_MANY_READINGS, None]
    assert read.certified == {TEN: {"gc-1": MWH}}
    assert [(each.certificate_id, each.why) for each in read.uncounted] == [
        ("gc-1", "NAMED_BEFORE"),
        ("gc-2", "UNREAD_BEFORE"),
    ]


@given(st.integers(1, 71), st.booleans())
def test_a_month_goes_over_an_exchange_that_the_registry_lists(at: int, has_other: bool) -> None:
    """Three days, each hour a reading; what a meter says that is not listed counts for nothing."""
    start = utc("00:00")
    moment, hours = start + at * HOUR, hours_between(start, start + 72 * HOUR)
    said = [
        reading(hour[0], 10 * MW).model_copy(update={"meter": "old" if hour[0] < moment else "new"}) for hour in hours
    ]
    other = [each.model_copy(update={"meter": "other", "import_w": MW}) for each in said if has_other]
    listed = {"old": Installed(None, None, moment), "new": Installed(None, moment, None)}
    month, taken = ReadMonth(), Taken()
    for day in (hours[:24], hours[24:48], hours[48:]):
        of_day = [each for each in [*said, *other] if day[0][0] <= each.starts_at < day[-1][1]]
        month.take(of_day, day, FRA._replace(meters=listed), taken)
    assert {energy.watt_us for _, energy in month.energies} == {10 * MW * 3_600_000_000}
