"""The feeds we know.

Adding one = one file with request() and parse(), one recorded body in the tests, one line here.
"""

from __future__ import annotations

from gridsignal_services.ingest.feed import Provider
from gridsignal_services.ingest.providers import energy_charts, entsoe, gb_carbon

PROVIDERS: dict[str, Provider] = {
    "energy_charts": energy_charts.PROVIDER,
    "entsoe": entsoe.PROVIDER,
    "gb_carbon": gb_carbon.PROVIDER,
}
"""Every feed by the name that its records carry."""
