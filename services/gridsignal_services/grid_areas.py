"""Areas of the registry file, and each zone's part of their limits: what the zone's ledger goes by alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Protocol

from pydantic import Field

from gridsignal_schemas.messages import AreaRegistration
from gridsignal_schemas.values import Identifier, Power, Shape, Zone

_WHOLE_PPM = 1_000_000
_LIMITS = ("max_ramp_down_w_per_min", "max_ramp_up_w_per_min", "max_change_w", "max_import_w")


class AreaEntry(Shape):
    """A part of the grid with limits of its own: a control area, a substation, a congestion point."""

    operator: Identifier
    """Who runs it, and sees its curves."""
    sites: list[Identifier] = Field(default_factory=list)
    """Connection points in it."""
    zones: list[Zone] = Field(default_factory=list)
    """Zones all of whose sites are in it."""
    areas: list[Identifier] = Field(default_factory=list)
    """Areas all of whose sites are in it."""
    max_ramp_down_w_per_min: Power | None = None
    """How fast orders may take its load down, in watts per minute."""
    max_ramp_up_w_per_min: Power | None = None
    """How fast they may bring it up or back, in watts per minute."""
    max_change_w: Power | None = None
    """How much they may take it down, and how much up, within window_s."""
    window_s: Annotated[int, Field(ge=1, le=3600)] | None = None
    """Of max_change_w, in seconds."""
    max_import_w: Power | None = None
    """How much its sites may draw together, in watts, where more load is ordered or comes back."""


class Located(Protocol):
    """What is asked of a site."""

    @property
    def zone(self) -> str: ...

    @property
    def capacity_w(self) -> int: ...


def sites_of(name: str, areas: Mapping[str, AreaEntry], sites: Mapping[str, Located]) -> set[str]:
    """All sites of an area, those of its zones and of the areas in it, too."""
    found, seen, ahead = set[str](), {name}, [name]
    while ahead:
        entry = areas[ahead.pop()]
        found.update(entry.sites)
        found.update(site for site, located in sites.items() if located.zone in entry.zones)
        ahead += [inner for inner in entry.areas if inner not in seen]
        seen.update(entry.areas)
    return found


def shares_of(name: str, areas: Mapping[str, AreaEntry], sites: Mapping[str, Located]) -> Iterator[AreaRegistration]:
    """The area as each zone's ledger knows it, its first revision: no limit is split where it lies in one zone.

    Over several zones each limit is split by what the connections of its sites carry, rounded down: each zone's
    ledger decides without the others', and together they stay within the whole.
    """
    entry, members = areas[name], sorted(sites_of(name, areas, sites))
    carried: dict[str, int] = {}
    for site in members:
        carried[sites[site].zone] = carried.get(sites[site].zone, 0) + sites[site].capacity_w
    in_all = sum(carried.values())
    for zone, capacity_w in sorted(carried.items()):
        limits = {limit: getattr(entry, limit) for limit in _LIMITS}
        yield AreaRegistration(
            zone=zone,
            area=name,
            revision=1,
            sites=[site for site in members if sites[site].zone == zone],
            share_ppm=_WHOLE_PPM * capacity_w // in_all,
            window_s=entry.window_s,
            **{limit: None if whole is None else whole * capacity_w // in_all for limit, whole in limits.items()},
        )


def faults_of_areas(
    areas: Mapping[str, AreaEntry],
    sites: Mapping[str, Located],
    zones: Mapping[str, object],
    operators: Mapping[str, object],
) -> list[str]:
    """What is wrong with the areas of a registry file, a line each."""
    known: dict[str, Mapping[str, object]] = {"sites": sites, "zones": zones, "areas": areas}
    faults = [
        f"areas.{name}.{kind}: expected {kind} of this file, got {member!r:.60}"
        for name, entry in areas.items()
        for kind, there in known.items()
        for member in getattr(entry, kind)
        if member not in there
    ]
    faults += [
        f"areas.{name}.operator: expected an operator of this file, got {entry.operator!r:.60}"
        for name, entry in areas.items()
        if entry.operator not in operators
    ]
    return faults or [f"areas.{name}{fault}" for name in areas for fault in _faults_of(name, areas, sites)]


def _faults_of(name: str, areas: Mapping[str, AreaEntry], sites: Mapping[str, Located]) -> Iterator[str]:
    entry = areas[name]
    if not sites_of(name, areas, sites):
        yield ": expected at least one site, got none"
    if all(getattr(entry, limit) is None for limit in _LIMITS):
        yield f": expected a limit ({', '.join(_LIMITS)}), got none"
    if (entry.max_change_w is None) != (entry.window_s is None):
        yield ".window_s: expected max_change_w and window_s together, got one of them"
