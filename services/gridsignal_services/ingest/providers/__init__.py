"""The feeds we know.

Adding one = one file with request() and parse(), one recorded body in the tests, one line here.
"""

from __future__ import annotations

from gridsignal_services.ingest.feed import Provider
from gridsignal_services.ingest.providers import (
    aemo,
    electricitymaps,
    energy_charts,
    entsoe,
    gb_carbon,
    openadr3,
    us_emergency,
    watttime,
)

PROVIDERS: dict[str, Provider] = {
    "entsoe": entsoe.PROVIDER,
    "energy_charts": energy_charts.PROVIDER,
    "gb_carbon": gb_carbon.PROVIDER,
    "electricitymaps": electricitymaps.PROVIDER,
    "watttime": watttime.PROVIDER,
    "aemo": aemo.PROVIDER,
    "openadr3": openadr3.PROVIDER,
    "us_emergency": us_emergency.PROVIDER,
}
"""Every feed by the name that its records carry."""
