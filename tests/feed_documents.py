"""Small answers of the public feeds, written here in the shape that each feed documents."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

BE, DE_LU = "10YBE----------2", "10Y1001A1001A82H"
A44 = "urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3"
A75 = "urn:iec62325.351:tc57wg16:451-6:generationloaddocument:3:0"
ACK = "urn:iec62325.351:tc57wg16:451-1:acknowledgementdocument:7:0"


def minutes(text: str) -> datetime:
    """2024-10-05T22:00Z as a datetime."""
    return datetime.fromisoformat(text)


def period(start: str, end: str, resolution: str, points: Mapping[int, object], value: str = "price.amount") -> str:
    """A Period with these positions, in the order given."""
    told = "".join(f"<Point><position>{n}</position><{value}>{v}</{value}></Point>" for n, v in points.items())
    interval = f"<timeInterval><start>{start}</start><end>{end}</end></timeInterval>"
    return f"<Period>{interval}<resolution>{resolution}</resolution>{told}</Period>"


def price_series(
    *periods: str, zone: str = BE, curve: str = "A03", sequence: int | None = None, more: str = "", auction: str = "A01"
) -> str:
    """A TimeSeries of day-ahead prices."""
    name = "classificationSequence_AttributeInstanceComponent.position"
    counted = f"<{name}>{sequence}</{name}>" if sequence else ""
    return (
        f"<TimeSeries><mRID>1</mRID><auction.type>{auction}</auction.type><businessType>A62</businessType>"
        f"<in_Domain.mRID>{zone}</in_Domain.mRID><out_Domain.mRID>{zone}</out_Domain.mRID>"
        "<contract_MarketAgreement.type>A01</contract_MarketAgreement.type>"
        "<currency_Unit.name>EUR</currency_Unit.name><price_Measure_Unit.name>MWH</price_Measure_Unit.name>"
        f"{counted}<curveType>{curve}</curveType>{more}{''.join(periods)}</TimeSeries>"
    )


def generation_series(kind: str, *periods: str, zone: str = BE, consumes: bool = False) -> str:
    """A TimeSeries of one production type; `consumes` for what it draws (pumping)."""
    name = "outBiddingZone_Domain.mRID" if consumes else "inBiddingZone_Domain.mRID"
    return (
        f"<TimeSeries><mRID>1</mRID><{name}>{zone}</{name}><curveType>A01</curveType>"
        f"<MktPSRType><psrType>{kind}</psrType></MktPSRType>{''.join(periods)}</TimeSeries>"
    )


def megawatts(start: str, values: Sequence[object], resolution: str = "PT60M") -> str:
    """A Period of generation from `start`, one value a step."""
    step = timedelta(minutes=int(resolution.removeprefix("PT").removesuffix("M")))
    end = minutes(start) + len(values) * step
    return period(start, f"{end:%Y-%m-%dT%H:%MZ}", resolution, dict(enumerate(values, 1)), "quantity")


def prices_document(*series: str) -> bytes:
    """An A44."""
    body = f'<Publication_MarketDocument xmlns="{A44}"><type>A44</type>{"".join(series)}</Publication_MarketDocument>'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}'.encode()


def generation_document(*series: str) -> bytes:
    """An A75."""
    return f'<GL_MarketDocument xmlns="{A75}"><type>A75</type>{"".join(series)}</GL_MarketDocument>'.encode()


def acknowledgement(text: str, *, namespace: bool = True) -> bytes:
    """Nothing, and why."""
    name = f' xmlns="{ACK}"' if namespace else ""
    reason = f"<Reason><code>999</code><text>{text}</text></Reason>"
    return f"<Acknowledgement_MarketDocument{name}>{reason}</Acknowledgement_MarketDocument>".encode()


def zipped(*bodies: bytes) -> bytes:
    """Bodies as the files of a zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for n, body in enumerate(bodies):
            archive.writestr(f"{n}.xml", body)
    return stream.getvalue()


def a_day_of_prices() -> bytes:
    """Belgium, 2024-10-06, quarter hours of which each fourth is told."""
    told = {n: f"{n - 20}.25" for n in range(1, 97, 4)}
    return prices_document(price_series(period("2024-10-05T22:00Z", "2024-10-06T22:00Z", "PT15M", told)))


def some_hours_of_generation() -> bytes:
    """Gas and wind over three hours."""
    start = "2024-10-06T00:00Z"
    gas = generation_series("B04", megawatts(start, [100, 200, 300]))
    wind = generation_series("B19", megawatts(start, [900, 800, 700]))
    return generation_document(gas, wind)


def as_json(value: Any) -> bytes:
    """A body."""
    return json.dumps(value).encode()


def energy_charts(start: datetime, values: Sequence[object], step_s: int = 900, **more: object) -> bytes:
    """Prices as parallel arrays."""
    stamps = [int(start.timestamp()) + i * step_s for i in range(len(values))]
    licence = "CC BY 4.0 (creativecommons.org/licenses/by/4.0) from Bundesnetzagentur | SMARD.de"
    told = {"license_info": licence, "unix_seconds": stamps, "price": values, "unit": "EUR / MWh", "deprecated": False}
    return as_json(told | more)


def half_hours(start: datetime, rows: Iterable[tuple[int | None, int | None]]) -> list[dict[str, Any]]:
    """GB half hours of (forecast, actual)."""
    return [
        {
            "from": f"{start + n * timedelta(minutes=30):%Y-%m-%dT%H:%MZ}",
            "to": f"{start + (n + 1) * timedelta(minutes=30):%Y-%m-%dT%H:%MZ}",
            "intensity": {"forecast": forecast, "actual": actual, "index": "low"},
        }
        for n, (forecast, actual) in enumerate(rows)
    ]


def electricity_maps(hours: Sequence[tuple[str, int | None, bool]], zone: str = "DE") -> bytes:
    """History: (start, grams, estimated)."""
    rows = [
        {
            "zone": zone,
            "carbonIntensity": grams,
            "datetime": start,
            "updatedAt": "2024-05-12T13:00:00.000Z",
            "emissionFactorType": "lifecycle",
            "isEstimated": estimated,
            "estimationMethod": "TIME_SLICER_AVERAGE" if estimated else None,
        }
        for start, grams, estimated in hours
    ]
    return as_json({"zone": zone, "history": rows})


def watttime(values: Sequence[object], start: datetime, **meta: object) -> bytes:
    """MOER history, in pounds per MWh."""
    told = {
        "data_point_period_seconds": 300,
        "region": "CAISO_NORTH",
        "signal_type": "co2_moer",
        "units": "lbs_co2_per_mwh",
        "model": {"date": "2023-03-01"},
        "warnings": [],
    }
    points = [
        {"point_time": (start + n * timedelta(minutes=5)).isoformat(), "value": value} for n, value in enumerate(values)
    ]
    return as_json({"data": points, "meta": told | meta})


def aemo_summary(rows: Sequence[Mapping[str, object]], notices: Sequence[Mapping[str, object]] = ()) -> bytes:
    """The summary of regions, with notices."""
    return as_json({"ELEC_NEM_SUMMARY": rows, "ELEC_NEM_SUMMARY_MARKET_NOTICE": notices})


def aemo_row(**changes: object) -> dict[str, object]:
    """One region's five minutes."""
    usual = {"SETTLEMENTDATE": "2024-05-12T10:35:00", "REGIONID": "NSW1", "PRICE": 20.5, "PRICE_STATUS": "FIRM"}
    return {**usual, "APCFLAG": 0.0, "MARKETSUSPENDEDFLAG": 0.0, **changes}


def aemo_notice(number: int, kind: str, text: str, at: str = "2024-05-12T10:03:48") -> dict[str, object]:
    """A market notice in the summary."""
    return {"NOTICEID": float(number), "EFFECTIVEDATE": at, "TYPEID": kind, "REASON": text}


def pjm_message(**changes: str) -> str:
    """An emergency posting for two regions."""
    fields = {
        "messageId": "7",
        "messageType": "Hot Weather Alert",
        "postedTimestamp": "2024-05-12T12:00Z",
        "pjmDrill": "false",
        "priority": "Alert",
        "message": "It is hot",
        "effectiveStartTime": "2024-05-12T12:00Z",
        "effectiveEndTime": "2024-05-14T04:00Z",
        "applicableStartTime": "2024-05-13T04:00Z",
        "applicableEndTime": "2024-05-14T03:59Z",
    } | changes
    told = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value)
    regions = "".join(f"<Region><regionName>{name}</regionName></Region>" for name in ("MIDATL", "WEST"))
    return f"<EmergencyMessage>{told}{regions}</EmergencyMessage>"


def pjm(*messages: str) -> bytes:
    """PJM's postings."""
    name = "http://www.pjm.com/external/schemas/emergencyprocedures/v1"
    return f'<e:EmergencyProcedures xmlns:e="{name}">{"".join(messages)}</e:EmergencyProcedures>'.encode()


def ercot(state: str = "normal", **changes: object) -> bytes:
    """ERCOT's condition."""
    told = {"state": state, "title": "Normal Conditions", "prc_value": "6,123", "datetime": 1_715_500_000}
    return as_json({"current_condition": told | changes})


def openadr_event(*intervals: Mapping[str, Any], **changes: object) -> dict[str, Any]:
    """An event of a 3.1 VTN."""
    return {
        "id": "event-1",
        "objectType": "EVENT",
        "createdDateTime": "2024-05-12T09:00:00Z",
        "modificationDateTime": "2024-05-12T09:00:00Z",
        "programID": "tariff-1",
        "eventName": "an event",
        "priority": None,
        "targets": None,
        "intervalPeriod": {"start": "2024-05-12T12:00:00Z", "duration": "PT1H"},
        "intervals": list(intervals),
    } | changes


def interval(kind: str, *values: object, **intervalperiod: str) -> dict[str, Any]:
    """An interval with one payload; keywords are its own intervalPeriod."""
    told: dict[str, Any] = {"id": 0, "payloads": [{"type": kind, "values": list(values)}]}
    return told | ({"intervalPeriod": intervalperiod} if intervalperiod else {})


def one_of_each() -> dict[str, list[bytes]]:
    """Ordinary answers of every provider: what mutations start from."""
    noon = minutes("2024-05-12T00:00:00+00:00")
    lor = "The Forecast LOR2 condition in the NSW Region from 1800 hrs 12/05/2024 to 1930 hrs 12/05/2024"
    events = [openadr_event(interval("PRICE", 0.17, 0.2)), openadr_event(interval("SIMPLE", 1), id="event-2")]
    return {
        "entsoe": [a_day_of_prices(), some_hours_of_generation(), acknowledgement("No matching data found")],
        "energy_charts": [energy_charts(noon, [1.5, -2, None, 4])],
        "gb_carbon": [as_json({"data": half_hours(noon, [(100, 90), (110, None)])})],
        "electricitymaps": [electricity_maps([("2024-05-12T11:00:00.000Z", 300, False)])],
        "watttime": [watttime([870, 860, 0], noon)],
        "aemo": [aemo_summary([aemo_row()], [aemo_notice(1, "RESERVE NOTICE", lor)])],
        "openadr3": [as_json(events)],
        "us_emergency": [pjm(pjm_message()), ercot()],
    }
