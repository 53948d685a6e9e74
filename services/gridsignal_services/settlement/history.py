"""What a connection point drew, from its meters' readings: the mean net power of any period, or why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Self

from gridsignal_services.settlement.days import Calendar, Slot
from gridsignal_services.settlement.energy import Energies, Gap, Installed, Reading, net_means, of_these

_MICROSECOND = timedelta(microseconds=1)


class History:
    """A connection point's readings, asked for means.

    Bounded by what it is given: some numbers for each reading.
    """

    def __init__(
        self,
        readings: Iterable[Reading],
        periods: Sequence[Slot] | None = None,
        installed: Mapping[str, Installed] | None = None,
    ) -> None:
        """`installed` are all meters of the connection, where they are known.

        Else each that has said anything of one of the `periods` is expected throughout it; without periods, always.
        """
        said = list(of_these(readings, installed or {}))
        self._energies = Energies(net_means(said, installed=installed, periods=periods))
        lengths = Counter(each.ends_at - each.starts_at for each in said)
        self.resolution = min(lengths, key=lambda length: (-lengths[length], length), default=None)
        """The commonest length of its readings, of equals the shorter; None where there are none."""

    @classmethod
    def by_days(
        cls, readings: Iterable[Reading], calendar: Calendar, installed: Mapping[str, Installed] | None = None
    ) -> Self:
        """Of which meters are expected day by day: one that was exchanged is missing on no other day."""
        said = list(readings)
        return cls(said, calendar.days_of((each.starts_at, each.ends_at) for each in said), installed)

    def mean_w(self, starts_at: datetime, ends_at: datetime) -> Fraction | Gap:
        """The mean net power of a period, in watts, exactly; a gap where any part of it has one."""
        energy = self._energies.over(starts_at, ends_at)
        if energy.watt_us is None:
            return energy.gap or Gap.METER_MISSING
        return energy.watt_us / ((ends_at - starts_at) // _MICROSECOND)
