"""A market case from outside: who would supply and who would draw how much at which price, and what can move.

Bounded: MAX_CASE bytes of a file, MAX_ENTRIES entries of a list. What goes beyond is refused with its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.values import MAX_PRICE_PER_MWH, Identifier, Shape
from gridsignal_services.case_files import CaseFault, case_of, wrong

MAX_CASE = 32 * 1024 * 1024
"""Bytes of a case file."""
MAX_ENTRIES = 50_000
MAX_MW = 1_000_000


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number such as 40 or 12.5, got {value!r:.60}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"expected a number such as 40 or 12.5, got one of {len(str(value))} digits") from None


def _period(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str) or len(str(value)) > 64 or value == "":
        raise ValueError(f"expected a whole number, or a text such as 2030-05-12T18:00Z, got {value!r:.80}")
    return value


_Number = Annotated[float, BeforeValidator(_number)]
Power = Annotated[_Number, Field(ge=0, le=MAX_MW)]
"""MW, the same over the whole period."""
Price = Annotated[_Number, Field(ge=-MAX_PRICE_PER_MWH, le=MAX_PRICE_PER_MWH)]
"""Per MW and period."""
Cost = Annotated[_Number, Field(ge=0, le=MAX_PRICE_PER_MWH)]
Period = Annotated[int | str, BeforeValidator(_period)]
"""A number or a text; all of a case are of one kind, and follow each other as they sort."""


class Place(Shape):
    """A zone in a period: where there is one price."""

    zone: Identifier
    period: Period


class Bid(Place):
    """So much at this price, or any part of it."""

    quantity_mw: Power
    price: Price
    indivisible: bool = False
    """All of it or nothing."""
    exclusive: Identifier | None = None
    """Of the bids and links that name the same group at most one is taken."""


class Ramp(Shape):
    """How much a zone's supply may change from one period to the next."""

    zone: Identifier
    mw_per_period: Power


class Limit(Place):
    """The most that is drawn there, what moved there included."""

    load_mw: Power


class Link(Shape):
    """Load that may move: what is drawn less at `from` is drawn more at `to`."""

    from_: Annotated[Place, Field(alias="from")]
    to: Place
    capacity_mw: Power
    cost: Cost
    indivisible: bool = False
    exclusive: Identifier | None = None


class Line(Shape):
    """A line between zones of one period, in every period. With a susceptance its flow follows the voltage angles."""

    from_: Annotated[Identifier, Field(alias="from")]
    to: Identifier
    capacity_mw: Power
    flow_cost: Cost = 0.0
    susceptance: Annotated[_Number, Field(gt=0, le=MAX_MW)] | None = None
    """MW per radian."""


_Many = Field(max_length=MAX_ENTRIES)


class Case(Shape):
    """The whole file."""

    supply: Annotated[list[Bid], _Many]
    demand: Annotated[list[Bid], _Many]
    ramps: Annotated[list[Ramp], _Many] = Field(default_factory=list)
    limits: Annotated[list[Limit], _Many] = Field(default_factory=list)
    links: Annotated[list[Link], _Many] = Field(default_factory=list)
    lines: Annotated[list[Line], _Many] = Field(default_factory=list)

    @classmethod
    def parse(cls, text: bytes) -> Case:
        """The case that a JSON text says. Raises CaseFault."""
        case = case_of(cls, text, MAX_CASE)
        if faults := list(_faults(case)):
            raise CaseFault(faults)
        return case

    @property
    def places(self) -> list[tuple[str, int | str]]:
        """Each zone and period that anything is said of, sorted."""
        named = _bid_or_moved(self) | {(each.zone, each.period) for each in self.limits}
        zones = {zone for line in self.lines for zone in (line.from_, line.to)}
        return sorted(named | {(zone, period) for zone in zones for _, period in named})


def _bid_or_moved(case: Case) -> set[tuple[str, int | str]]:
    """Where somebody would supply or draw, or something may move."""
    ends = [end for link in case.links for end in (link.from_, link.to)]
    return {(each.zone, each.period) for each in (*case.supply, *case.demand, *ends)}


def _faults(case: Case) -> Iterator[Detail]:
    """What the shape alone does not say."""
    kind: type | None = None
    for at, place in _said(case):
        kind = kind or type(place.period)
        if type(place.period) is not kind:
            numbers = "a whole number" if kind is int else "a text"
            yield wrong(f"{at}/period", f"expected {numbers} as in the entries before, got {place.period!r}")
    for number, link in enumerate(case.links):
        if link.from_ == link.to:
            yield wrong(f"/links/{number}/to", "expected another zone or period than from's, got the same")
    for number, line in enumerate(case.lines):
        if line.from_ == line.to:
            yield wrong(f"/lines/{number}/to", f"expected another zone than from's, got {line.to!r}")
    zones = {zone for zone, _ in _bid_or_moved(case)} | {zone for line in case.lines for zone in (line.from_, line.to)}
    limited = {"ramps": [each.zone for each in case.ramps], "limits": [each.zone for each in case.limits]}
    for name, named in limited.items():
        for number, zone in enumerate(named):
            if zone not in zones:
                expected = "expected a zone that a bid, a link or a line names"
                yield wrong(f"/{name}/{number}/zone", f"{expected}, got {zone!r}")
    yield from _twice("ramps", [each.zone for each in case.ramps])
    yield from _twice("limits", [(each.zone, each.period) for each in case.limits])


def _said(case: Case) -> Iterator[tuple[str, Place]]:
    lists: dict[str, Sequence[Place]] = {"supply": case.supply, "demand": case.demand, "limits": case.limits}
    for name, entries in lists.items():
        yield from ((f"/{name}/{number}", each) for number, each in enumerate(entries))
    for number, link in enumerate(case.links):
        yield f"/links/{number}/from", link.from_
        yield f"/links/{number}/to", link.to


def _twice(name: str, keys: Sequence[object]) -> Iterator[Detail]:
    seen: set[object] = set()
    for number, key in enumerate(keys):
        if key in seen:
            yield wrong(f"/{name}/{number}", f"expected one entry for {key}, got a second")
        seen.add(key)
