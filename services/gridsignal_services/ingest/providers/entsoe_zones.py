"""Energy Identification Codes of the bidding zones we know, both ways."""

from __future__ import annotations

import re

from gridsignal_services.ingest.feed import Ask

EIC_OF_ZONE = {
    "AL": "10YAL-KESH-----5",
    "AT": "10YAT-APG------L",
    "BA": "10YBA-JPCC-----D",
    "BE": "10YBE----------2",
    "BG": "10YCA-BULGARIA-R",
    "CH": "10YCH-SWISSGRIDZ",
    "CY": "10YCY-1001A0003J",
    "CZ": "10YCZ-CEPS-----N",
    "DE-LU": "10Y1001A1001A82H",
    "DK-DK1": "10YDK-1--------W",
    "DK-DK2": "10YDK-2--------M",
    "EE": "10Y1001A1001A39I",
    "ES": "10YES-REE------0",
    "FI": "10YFI-1--------U",
    "FR": "10YFR-RTE------C",
    "GB": "10YGB----------A",
    "GR": "10YGR-HTSO-----Y",
    "HR": "10YHR-HEP------M",
    "HU": "10YHU-MAVIR----U",
    "IE": "10Y1001A1001A59C",
    "IT-CALA": "10Y1001C--00096J",
    "IT-CNO": "10Y1001A1001A70O",
    "IT-CSO": "10Y1001A1001A71M",
    "IT-NO": "10Y1001A1001A73I",
    "IT-SAR": "10Y1001A1001A74G",
    "IT-SIC": "10Y1001A1001A75E",
    "IT-SO": "10Y1001A1001A788",
    "LT": "10YLT-1001A0008Q",
    "LV": "10YLV-1001A00074",
    "MD": "10Y1001A1001A990",
    "ME": "10YCS-CG-TSO---S",
    "MK": "10YMK-MEPSO----8",
    "MT": "10Y1001A1001A93C",
    "NL": "10YNL----------L",
    "NO-NO1": "10YNO-1--------2",
    "NO-NO2": "10YNO-2--------T",
    "NO-NO3": "10YNO-3--------J",
    "NO-NO4": "10YNO-4--------9",
    "NO-NO5": "10Y1001A1001A48H",
    "PL": "10YPL-AREA-----S",
    "PT": "10YPT-REN------W",
    "RO": "10YRO-TEL------P",
    "RS": "10YCS-SERBIATSOV",
    "SE-SE1": "10Y1001A1001A44P",
    "SE-SE2": "10Y1001A1001A45N",
    "SE-SE3": "10Y1001A1001A46L",
    "SE-SE4": "10Y1001A1001A47J",
    "SI": "10YSI-ELES-----O",
    "SK": "10YSK-SEPS-----K",
    "TR": "10YTR-TEIAS----W",
    "UA": "10Y1001C--00003F",
    "XK": "10Y1001C--00100H",
}
ZONE_OF_EIC = {eic: zone for zone, eic in EIC_OF_ZONE.items()}
"""DE-LU since October 2018; older areas are not ours."""
_EIC = re.compile(r"[0-9A-Z-]{16}")


def area_of(ask: Ask) -> str | None:
    """The area of the zone that is asked for; a zone may also be named by its code."""
    zone = ask.zone or ""
    return ask.markets.areas.get(zone) or EIC_OF_ZONE.get(zone) or (zone if _EIC.fullmatch(zone) else None)


def zone_of(area: str, ask: Ask) -> str | None:
    """The zone of an area. One that nobody knows is the zone asked for, if that has no other area."""
    known_zone = next((zone for zone, code in ask.markets.areas.items() if code == area), None)
    found = known_zone or ZONE_OF_EIC.get(area)
    return ask.zone if found is None and area_of(ask) in (None, area) else found
