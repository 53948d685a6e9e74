"""Carbon intensity as it was known at a moment: by basis, and over any period.

Figures of different accounting, scope, mix, dataset or provider say different things of the same hour: each basis is
kept apart, and one alone is used. Nothing is filled in: what a basis does not say of a period is unknown.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from gridsignal_schemas.messages import Accounting, CarbonIntensity
from gridsignal_schemas.reports import Basis, Vintage
from gridsignal_schemas.rules.in_force import Statement, in_force
from gridsignal_schemas.rules.vintages import Best, Logged, Value
from gridsignal_services.clock import micros

ACCOUNTINGS = (Accounting.AVERAGE, Accounting.MARGINAL)
_MICROSECOND = timedelta(microseconds=1)


class Intensity(NamedTuple):
    """What a basis says of a period."""

    grams_per_kwh: Fraction
    """The mean over its time."""
    sources: tuple[Logged, ...]
    """The records that say so, each once, in order of time."""


class Known:
    """What was known of one basis, each moment once: the highest status, then the latest vintage."""

    def __init__(self, basis: Basis, values: Sequence[Value]) -> None:
        self.basis = basis
        statements = [
            Statement(value.starts_at, value.ends_at, (*_rank(value), place)) for place, value in enumerate(values)
        ]
        self._held = [(since, until, values[place]) for since, until, place in in_force(statements)]
        self._starts = [since for since, _, _ in self._held]

    def over(self, starts_at: datetime, ends_at: datetime) -> Intensity | None:
        """The intensity of a period that is not empty; None where any of it is unknown."""
        grams, at, sources = Fraction(0), starts_at, dict[int, Logged]()
        for since, until, value in self._touching(starts_at, ends_at):
            if since > at or value.value is None:
                return None
            until = min(until, ends_at)
            grams += Fraction(value.value) * ((until - at) // _MICROSECOND)
            sources[id(value.source)] = value.source
            at = until
        if at < ends_at:
            return None
        return Intensity(grams / ((ends_at - starts_at) // _MICROSECOND), tuple(sources.values()))

    def reach(self, starts_at: datetime, ends_at: datetime) -> timedelta:
        """How much of a period is known."""
        stretches = (
            min(until, ends_at) - max(since, starts_at)
            for since, until, value in self._touching(starts_at, ends_at)
            if value.value is not None
        )
        return sum(stretches, timedelta(0))

    def _touching(self, starts_at: datetime, ends_at: datetime) -> Iterator[tuple[datetime, datetime, Value]]:
        for since, until, value in self._held[max(bisect_right(self._starts, starts_at) - 1, 0) :]:
            if since >= ends_at:
                return
            if until > starts_at:
                yield since, until, value


Bases = Mapping[Accounting, Sequence[Known]]
"""All bases of a zone by accounting."""


def known_of(best: Best) -> Bases:
    """The bases of the carbon curves of a zone."""
    values: dict[Basis, list[Value]] = {}
    for curve in best.curves():
        if isinstance(series := curve[0].source.series, CarbonIntensity):
            values.setdefault(basis_of(series), []).extend(curve)
    found: dict[Accounting, list[Known]] = {}
    for basis, said in values.items():
        found.setdefault(basis.accounting, []).append(Known(basis, said))
    return found


def basis_of(series: CarbonIntensity) -> Basis:
    """What the figures of a series are of."""
    said = {name: getattr(series, name) for name in Basis.model_fields}
    return Basis(**said)


def chosen(bases: Bases, accounting: Accounting, starts_at: datetime, ends_at: datetime) -> Known | None:
    """The basis that knows most of a period; of equals the first by scope, mix, provider and dataset."""
    found = [(-known.reach(starts_at, ends_at), *_name(known.basis), known) for known in bases.get(accounting, ())]
    first = min(found, key=lambda each: each[:-1], default=None)
    return first[-1] if first is not None and first[0] else None


def vintages_of(sources: Iterable[Logged]) -> list[Vintage]:
    """Each record once, in order of its first interval."""
    once = {id(source): source for source in sources}.values()
    found = (
        Vintage(
            starts_at=source.series.starts_at,
            revision=source.series.revision,
            status=source.series.status,
            issued_at=source.series.issued_at,
            logged_at=source.at,
        )
        for source in once
        if isinstance(source.series, CarbonIntensity)
    )
    return sorted(found, key=lambda each: (each.starts_at, each.logged_at))


def _rank(value: Value) -> tuple[int, int, int]:
    status, issued_at, logged_at = value.standing
    return status, micros(issued_at), micros(logged_at)


def _name(basis: Basis) -> tuple[str, str, str, str]:
    return basis.scope, basis.mix, basis.provider, basis.dataset
