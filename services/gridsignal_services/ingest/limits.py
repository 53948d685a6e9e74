"""The limits of the ingest door that an installation may change: those of every REST door, and its own."""

from __future__ import annotations

from dataclasses import dataclass

from gridsignal_services.ingest.kept import MOST_POINTS, MOST_POINTS_OF_ONE
from gridsignal_services.rest.limits import RestLimits


@dataclass(frozen=True, slots=True)
class IngestLimits(RestLimits):
    """What may be pushed at once, and what is kept to compare with."""

    push_values: int = 3000
    """Values of one push: ten days of five minutes, four months of hours. More: 422; a day at a time always fits, and
    `gridsignal push` cuts what is refused so."""
    push_values_per_s: float = 5000.0
    """Values that one organisation pushes, taken or not, and 50 more for each push: every gateway reads and hands on
    what is published, and whoever pushes pays for it here. Faster: 429 with Retry-After."""
    push_values_burst: int = 30_000
    """So many at once: a hundred days of five minutes. A push may overdraw it once; the next gets 429."""
    push_series: int = 200
    """Kinds of series (zone, product, dataset or basis) that one organisation pushes. One more: 422; values for those
    it has are still taken."""
    origins: tuple[str, ...] = ()
    """Browsers' origins whose pages may ask, with commas between, such as the console's; programs send none."""
    kept_values: int = MOST_POINTS
    """Newest values kept of everybody's series, some 240 bytes each. More: whoever has most loses the series not
    touched for longest; told again, it is published again, as revision 1."""
    kept_values_of_one: int = MOST_POINTS_OF_ONE
    """The same of one provider or organisation. More: it loses its own."""
