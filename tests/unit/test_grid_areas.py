"""Areas of the registry file: their sites, each zone's part of their limits, and what the log has to be told."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import AreaRegistration
from gridsignal_services.dispatch.registration import differences_of_areas
from gridsignal_services.grid_areas import AreaEntry, shares_of
from gridsignal_services.registry import Registry, SiteEntry, example_registry_text
from gridsignal_services.settings import ConfigError


def with_areas(toml: str) -> Registry:
    if "operator" not in toml:
        toml = re.sub(r"^(\[areas.*\])$", r"\1\noperator = 'tso-north'", toml, flags=re.MULTILINE)
    return Registry.parse(example_registry_text() + toml)


EAST = "[areas.east]\noperator = 'tso-north'\nsites = ['fra-1', 'ber-1']\nmax_change_w = 100_000_000\nwindow_s = 300\n"
CORE = "[areas.core]\noperator = 'tso-north'\nzones = ['FR']\nareas = ['east']\nmax_ramp_up_w_per_min = 17_000_001\n"


def test_an_area_in_one_zone_keeps_its_limits_whole() -> None:
    (east,) = differences_of_areas(with_areas(EAST), [])

    assert (east.zone, east.sites, east.share_ppm) == ("DE-LU", ["ber-1", "fra-1"], 1_000_000)
    assert (east.max_change_w, east.window_s, east.revision) == (100_000_000, 300, 1)


def test_an_area_over_two_zones_is_split_by_what_its_connections_carry() -> None:
    core = [area for area in differences_of_areas(with_areas(EAST + CORE), []) if area.area == "core"]

    assert {area.zone: (area.sites, area.share_ppm) for area in core} == {
        "DE-LU": (["ber-1", "fra-1"], 647_058),
        "FR": (["par-1"], 352_941),
    }
    assert [area.max_ramp_up_w_per_min for area in core if area.zone == "DE-LU"] == [11_000_000]


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 10**9)), min_size=1), st.integers(0, 10**9))
def test_the_parts_never_come_to_more_than_the_whole(sites: list[tuple[str, int]], limit: int) -> None:
    entries = {
        f"s{at}": SiteEntry(
            participant="acme-ai", zone=zone, capacity_w=capacity, minimum_load_w=0, external_ids={}, meters={}
        )
        for at, (zone, capacity) in enumerate(sites)
    }
    area = AreaEntry(operator="tso-north", sites=list(entries), max_import_w=limit)
    parts = list(shares_of("all", {"all": area}, entries))

    assert sorted(site for part in parts for site in part.sites) == sorted(entries)
    total = sum(part.max_import_w or 0 for part in parts)
    assert limit - len(parts) < total <= limit


def test_areas_within_one_another_end() -> None:
    around = (
        "[areas.a]\nareas = ['b']\nmax_import_w = 1\n[areas.b]\nareas = ['a']\nsites = ['fra-1']\nmax_import_w = 1\n"
    )

    assert {area.area: area.sites for area in differences_of_areas(with_areas(around), [])} == {
        "a": ["fra-1"],
        "b": ["fra-1"],
    }


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[areas.x]\nsites = ['nowhere']\nmax_import_w = 1\n", "areas.x.sites: expected sites of this file"),
        ("[areas.x]\nareas = ['y']\nmax_import_w = 1\n", "areas.x.areas: expected areas of this file, got 'y'"),
        ("[areas.x]\nzones = ['XX']\nmax_import_w = 1\n", "areas.x.zones: expected zones of this file, got 'XX'"),
        ("[areas.x]\nzones = ['GB']\nmax_import_w = 1\n", "areas.x: expected at least one site, got none"),
        ("[areas.x]\nsites = ['fra-1']\n", "areas.x: expected a limit"),
        ("[areas.x]\noperator = 'acme-ai'\nsites = ['fra-1']\n", "areas.x.operator: expected an operator of this file"),
        ("[areas.x]\nsites = ['fra-1']\nmax_change_w = 1\n", "areas.x.window_s: expected max_change_w and window_s"),
        (
            "[areas.x]\nsites = ['fra-1']\nmax_import_w = -1\n",
            "areas.x.max_import_w: expected greater than or equal to 0",
        ),
    ],
)
def test_a_mistake_in_an_area_is_told_with_its_place(toml: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        with_areas(toml)
    assert said in str(refused.value)


def test_a_log_that_agrees_gets_nothing_and_a_changed_area_its_next_revision() -> None:
    known = differences_of_areas(with_areas(EAST), [])
    assert differences_of_areas(with_areas(EAST), known) == []

    (changed,) = differences_of_areas(with_areas(EAST.replace("300", "600")), known)
    assert (changed.revision, changed.window_s) == (2, 600)


def test_an_area_that_left_the_file_ends_on_the_log_once() -> None:
    known = differences_of_areas(with_areas(EAST), [])

    (ended,) = differences_of_areas(with_areas(""), known)
    assert ended == AreaRegistration(zone="DE-LU", area="east", revision=2, sites=[], share_ppm=0)
    assert differences_of_areas(with_areas(""), [ended]) == []


def test_zones_give_up_a_share_before_another_gets_it() -> None:
    known = differences_of_areas(with_areas(EAST + CORE), [])
    more = example_registry_text().replace("capacity_w = 50_000_000", "capacity_w = 90_000_000")
    changed = [area for area in differences_of_areas(Registry.parse(more + EAST + CORE), known) if area.area == "core"]

    assert [area.zone for area in changed] == ["FR", "DE-LU"]
