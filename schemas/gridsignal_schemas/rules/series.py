"""Series of prices and carbon: which figures compare, and which of two counts more."""

from __future__ import annotations

from collections.abc import Mapping

from gridsignal_schemas.messages import CarbonIntensity, SpotPrice
from gridsignal_schemas.messages.signals import CarbonStatus, PriceStatus

Series = SpotPrice | CarbonIntensity

_RANKS: Mapping[PriceStatus | CarbonStatus, int] = {
    PriceStatus.PRELIMINARY: 1, PriceStatus.FINAL: 2, PriceStatus.CORRECTED: 3,
    CarbonStatus.ESTIMATED: 1, CarbonStatus.MEASURED: 2,
}  # fmt: skip


def status_rank(status: PriceStatus | CarbonStatus) -> int:
    """Figures of a higher rank count more: measured before estimated before forecast.

    What a later version calls by a word that is UNKNOWN here counts as a forecast: nobody can tell that it is more.
    """
    return _RANKS.get(status, 0)


def kind_of(series: Series) -> tuple[str, ...]:
    """Of what the figures are: a zone's market or carbon basis, by one dataset of one provider.

    Only figures of one kind say the same; their currency, resolution and vintage may differ.
    """
    source = (series.dataset, series.provider)
    if isinstance(series, SpotPrice):
        return (series.zone, series.product, *source)
    return (series.zone, series.accounting, series.scope, series.mix, *source)
