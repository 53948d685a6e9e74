"""What orders were in CO2: the energy of each settled interval times the intensity that was known when they ended.

    emitted = actual x intensity          of the intervals whose energy and carbon are known
    avoided = s x delivered x intensity   s: +1 for LOAD_DECREASE, -1 for LOAD_INCREASE

By average and by marginal, each by one basis. What comes back after a shift is no part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from gridsignal_schemas.messages import Accounting, CarbonIntensity, Direction
from gridsignal_schemas.messages.settlements import SettledInterval
from gridsignal_schemas.reports import Basis, OrderCarbon, StatementCarbon
from gridsignal_schemas.rules.vintages import Logged, Value
from gridsignal_services.carbon.known import ACCOUNTINGS, Bases, Intensity, Known, basis_of, chosen, vintages_of
from gridsignal_services.settlement.carry import rounded

_HOUR = timedelta(hours=1)
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_ADDED = ("emitted_grams", "avoided_grams", "known_wh", "unknown_wh", "intervals_unknown")
_NOTHING = {"orders": 0, "emitted_grams": None, "avoided_grams": None, **dict.fromkeys(_ADDED[2:], 0)}


class Over(NamedTuple):
    """An order that is over and settled."""

    order_id: str
    direction: Direction
    starts_at: datetime
    ended_at: datetime
    intervals: Sequence[SettledInterval]


class Sweep:
    """A zone's carbon as it became known: records are taken in the order of the log, orders asked by their end.

    Holds the best value of each interval alone, by the hours it touches.
    """

    def __init__(self, logged: Sequence[Logged]) -> None:
        """`logged` is in the order of the log."""
        self._logged, self._next = logged, 0
        self._hours: dict[int, dict[tuple[Basis, int, datetime], Value]] = {}
        self._asked: tuple[datetime, datetime] | None = None
        self._known: list[tuple[Accounting, Known | None]] = []
        self._said: dict[tuple[Accounting, datetime, datetime], Intensity | None] = {}

    def of(self, order: Over) -> list[OrderCarbon]:
        """An order's CO2 by each accounting; no earlier one may be asked afterwards."""
        self._go_to(order.ended_at)
        if self._asked != (order.starts_at, order.ended_at):
            self._asked = order.starts_at, order.ended_at
            bases = self._bases(order.starts_at, order.ended_at)
            self._known = [(each, chosen(bases, each, *self._asked)) for each in ACCOUNTINGS]
            self._said = {}
        return [self._carbon(order, accounting, known) for accounting, known in self._known]

    def _go_to(self, moment: datetime) -> None:
        while self._next < len(self._logged) and self._logged[self._next].at <= moment:
            self._take(self._logged[self._next])
            self._next += 1
            self._asked = None

    def _take(self, known: Logged) -> None:
        if not isinstance(known.series, CarbonIntensity):
            return
        basis, resolution_s = basis_of(known.series), known.series.resolution_s
        for starts_at, ends_at, grams in known.series.intervals():
            value = Value(starts_at, ends_at, grams, known)
            for hour in _hours(starts_at, ends_at):
                held = self._hours.setdefault(hour, {})
                before = held.get((basis, resolution_s, starts_at))
                if before is None or before.standing <= value.standing:
                    held[basis, resolution_s, starts_at] = value

    def _bases(self, starts_at: datetime, ends_at: datetime) -> Bases:
        values: dict[Basis, dict[tuple[int, datetime], Value]] = {}
        for hour in _hours(starts_at, ends_at):
            for (basis, resolution_s, since), value in self._hours.get(hour, {}).items():
                values.setdefault(basis, {})[resolution_s, since] = value
        found: dict[Accounting, list[Known]] = {}
        for basis, said in values.items():
            found.setdefault(basis.accounting, []).append(Known(basis, list(said.values())))
        return found

    def _carbon(self, order: Over, accounting: Accounting, known: Known | None) -> OrderCarbon:
        said = [self._intensity(known, line) for line in order.intervals]
        sign = 1 if order.direction is Direction.LOAD_DECREASE else -1
        pairs = list(zip(order.intervals, said, strict=True))
        delivered = [(line.delivered_wh, each) for line, each in pairs if line.delivered_wh is not None]
        return OrderCarbon(
            accounting=accounting,
            basis=None if known is None else known.basis,
            known_at=order.ended_at,
            emitted_grams=_grams((line.actual_wh, each) for line, each in pairs if line.actual_wh is not None),
            avoided_grams=_grams((sign * wh, each) for wh, each in delivered),
            known_wh=sum(wh for wh, each in delivered if each is not None),
            unknown_wh=sum(wh for wh, each in delivered if each is None),
            intervals_unknown=sum(1 for line, each in pairs if each is None or line.delivered_wh is None),
            vintages=vintages_of(source for each in said if each is not None for source in each.sources),
        )

    def _intensity(self, known: Known | None, line: SettledInterval) -> Intensity | None:
        if known is None:
            return None
        key = known.basis.accounting, line.starts_at, line.ends_at
        if key not in self._said:
            self._said[key] = known.over(line.starts_at, line.ends_at)
        return self._said[key]


class CarbonSums:
    """The sums of a zone's orders while they are added up; what is of different bases is never added."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._by: dict[tuple[Accounting, Basis | None], dict[str, int | None]] = {}

    def add(self, carbon: Iterable[OrderCarbon]) -> None:
        """Adds an order by each accounting; grams are null while nothing is known."""
        for each in carbon:
            sums = self._by.setdefault((each.accounting, each.basis), dict(_NOTHING))
            sums["orders"] = (sums["orders"] or 0) + 1
            for name in _ADDED:
                if (said := getattr(each, name)) is not None:
                    sums[name] = (sums[name] or 0) + said

    def totals(self) -> Iterator[StatementCarbon]:
        """By accounting, then by basis."""
        for (accounting, basis), sums in sorted(self._by.items(), key=lambda item: (item[0][0], str(item[0][1]))):
            yield StatementCarbon.model_validate({"accounting": accounting, "zone": self._zone, "basis": basis, **sums})


def _grams(energies: Iterable[tuple[int, Intensity | None]]) -> int | None:
    """Whole grams, rounded once; None where no interval has both."""
    of: dict[Fraction, int] = {}  # orders have few intensities: whole numbers are added, and few fractions multiplied
    for wh, each in energies:
        if each is not None:
            of[each.grams_per_kwh] = of.get(each.grams_per_kwh, 0) + wh
    return rounded(sum((wh * grams for grams, wh in of.items()), Fraction(0)) / 1000) if of else None


def _hours(starts_at: datetime, ends_at: datetime) -> range:
    return range((starts_at - _BEGIN) // _HOUR, -((_BEGIN - ends_at) // _HOUR))
