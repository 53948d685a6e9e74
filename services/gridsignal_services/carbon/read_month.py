"""A site's readings of a month, taken a day after the other: a month of them may be more than one answer reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gridsignal_schemas.messages import MeterPoint, MeterReading
from gridsignal_schemas.reports import Uncounted
from gridsignal_services.carbon.certificates import Counted, Hour, Taken, counted
from gridsignal_services.carbon.matching import Site
from gridsignal_services.settlement.energy import Energies, Energy, Gap, Installed, net_means, of_these


@dataclass(slots=True)
class ReadMonth:
    """What the meters of a site said of a month: hours with their energy, and the certificates that count in them."""

    energies: list[tuple[Hour, Energy]] = field(default_factory=list)
    certified: Counted = field(default_factory=dict)
    uncounted: list[Uncounted] = field(default_factory=list)
    meters: set[str] = field(default_factory=set)
    """Those that have spoken: from then on they are expected to, where nobody has listed them."""

    def take(self, readings: Sequence[MeterReading], hours: Sequence[Hour], site: Site, taken: Taken) -> None:
        """A day's hours, or one, by the readings that touch or end where they begin, in the order of the log. `taken`
        has the certificates that count so far, of whatever site, and gains those that count here."""
        installed = site.meters or dict.fromkeys(self.meters, Installed())
        means = net_means(of_these(readings, site.meters), site.capacity_w, installed)
        energies = Energies(means)
        self.energies += [(hour, energies.over(*hour)) for hour in hours]
        self.meters |= {each.meter for each in readings if each.point is MeterPoint.CONNECTION}
        certified, uncounted = counted(readings, hours, taken)
        self.certified |= certified
        self.uncounted += uncounted

    def lose(self, hour: Hour, taken: Taken) -> None:
        """An hour with more readings than are added up: which certificates they name is not known."""
        self.energies.append((hour, Energy(None, frozenset(), Gap.TOO_MANY_READINGS)))
        taken.all_read = False
