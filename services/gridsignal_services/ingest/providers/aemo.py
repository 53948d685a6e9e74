"""AEMO, the Australian market: five-minute prices and market notices out of one JSON answer. No key.

Stamps are interval ENDS in market time, +10:00 all year, without an offset. A price is final when it is FIRM; one
whose interval is named by a notice "prices subject to review", or that says nothing, is preliminary.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from gridsignal_schemas.messages import Record, SpotPrice
from gridsignal_services.ingest.elements import each
from gridsignal_services.ingest.feed import (
    Ask,
    Call,
    FeedAnswer,
    Malformed,
    NotYetAvailable,
    Provider,
    Signal,
    Unsupported,
    refuse_status,
)
from gridsignal_services.ingest.figures import decimal_of, foreign_kind, instant, json_of, list_of, object_of
from gridsignal_services.ingest.providers import aemo_notices
from gridsignal_services.ingest.providers.aemo_times import MARKET_TIME
from gridsignal_services.ingest.schedule import Cadence

ADDRESS = "https://visualisations.aemo.com.au/aemo/apps/api/report/ELEC_NEM_SUMMARY"
LICENCE = "AEMO copyright permissions: attribution"
ZONE_OF_REGION = aemo_notices.ZONE_OF_REGION
_ROWS, _NOTICES = "ELEC_NEM_SUMMARY", "ELEC_NEM_SUMMARY_MARKET_NOTICE"
_FLAGS = {"capped": "APCFLAG", "market_suspended": "MARKETSUSPENDEDFLAG"}
_FIVE_MINUTES = 300
_FORECAST_STEP = 1800
_IN_FILES = re.compile(r"\d{4}/\d{2}/\d{2} ")


def request(ask: Ask) -> Call:
    """The summary of all regions: prices and notices alike."""
    own = (zone for name, zone in ask.settings.items() if name.startswith("region."))
    known = sorted({*ZONE_OF_REGION.values(), *own})
    if ask.zone is not None and ask.zone not in known:
        raise Unsupported(f"expected one of {', '.join(known)}, got {ask.zone}")
    return Call(ask.settings.get("address", ADDRESS), headers={"Accept": "application/json"})


def parse(answer: FeedAnswer, ask: Ask) -> list[Record]:
    """A SpotPrice per region and interval and a GridAlert per notice, region and window; or what a notice file says."""
    refuse_status(answer)
    if kind := foreign_kind(answer.body):
        raise Malformed(f"expected JSON or a notice, got {kind}")
    if answer.body.lstrip()[:1] not in (b"{", b"["):
        return _wanted(list(aemo_notices.from_text(answer.text(), ask)), ask)
    body = json_of(answer.body)
    if isinstance(body, list):
        body = {_ROWS: body}
    body = object_of(body, "the answer")
    if "5MIN" in body:
        body = {_ROWS: body["5MIN"]}
    wanted = {Signal.PRICE: (_ROWS,), Signal.ALERT: (_NOTICES,)}.get(ask.signal or Signal.EVENT, (_ROWS, _NOTICES))
    if not any(name in body for name in wanted):
        raise Malformed(f"expected {' or '.join(wanted)}, got {', '.join(sorted(body))[:100]}")
    rows = list_of(body.get(_ROWS) or [], "regions")
    notice_rows = list_of(body.get(_NOTICES) or [], "notices")
    alone = ask.signal is Signal.ALERT
    notices = each(notice_rows, "notice", lambda row: object_of(row, "a notice"), ask, some=alone)
    found: list[Record] = []
    if ask.signal in (None, Signal.PRICE):
        when = each(notices, "notice", partial(aemo_notices.reviewed, ask=ask), ask, some=False)
        stand = {end for under_review, ends in when if not under_review for end in ends}
        reviewed = {end for under_review, ends in when if under_review for end in ends} - stand
        read = partial(_spot_price, reviewed=reviewed, ask=ask)
        found += each(rows, "region", read, ask, some=ask.signal is Signal.PRICE)
    if ask.signal in (None, Signal.ALERT):
        alerts = each(notices, "notice", lambda notice: list(aemo_notices.from_row(notice, ask)), ask, some=alone)
        found += [alert for some in alerts for alert in some]
    return _wanted(found, ask)


def _wanted(found: list[Record], ask: Ask) -> list[Record]:
    wanted = [record for record in found if ask.zone is None or getattr(record, "zone", None) == ask.zone]
    if not wanted and ask.signal is not Signal.ALERT:
        raise NotYetAvailable(f"aemo says nothing about {ask.zone or 'any region'} yet")
    return wanted


def _spot_price(interval: object, reviewed: set[datetime], ask: Ask) -> SpotPrice:
    row = object_of(interval, "a region")
    region = str(row.get("REGIONID")).strip().upper()
    zone = ask.settings.get(f"region.{region}") or ZONE_OF_REGION.get(region)
    if zone is None:
        raise Malformed(f"expected a region such as NSW1, got {region:.20}")
    stamp = str(row.get("SETTLEMENTDATE"))  # year first, with hyphens or, as in its files, with slashes
    ends_at = instant(stamp.replace("/", "-") if _IN_FILES.match(stamp) else stamp, zone=MARKET_TIME)
    forecast = row.get("PERIODTYPE") == "FORECAST"
    step_s = _FORECAST_STEP if forecast else _FIVE_MINUTES
    price = next((row[name] for name in ("PRICE", "RRP") if row.get(name) is not None), None)
    if price is None:
        raise Malformed(f"expected a PRICE or RRP of {region}, got none")
    marks = {name: _is_set(row, field, region, ask) for name, field in _FLAGS.items()}
    firm = str(row.get("PRICE_STATUS")).strip().upper() == "FIRM" and ends_at not in reviewed
    firm = firm and None not in marks.values()
    marks["under_review"] = ends_at in reviewed
    return SpotPrice.model_validate(
        {
            "zone": zone,
            "product": "REAL_TIME",
            "dataset": "5MIN" if not forecast else "5MIN-forecast",
            "currency": "AUD",
            "starts_at": ends_at - timedelta(seconds=step_s),
            "resolution_s": step_s,
            "prices_per_mwh": [decimal_of(price)],
            "status": "FORECAST" if forecast else "FINAL" if firm else "PRELIMINARY",
            "flags": [name for name, is_set in marks.items() if is_set],
            "provider": "aemo",
            "licence": LICENCE,
            "observed_at": ask.now,
            "revision": 1,
        }
    )


def _is_set(row: dict[str, Any], name: str, region: str, ask: Ask) -> bool | None:
    """A flag: 0 or 1 as a number, a truth or as text. None for one that can't be read, which is told."""
    value = row.get(name)
    try:
        return value is True or (value not in (None, "", False) and decimal_of(value) != 0)
    except Malformed as fault:
        ask.left_out.add(f"{name} of {region}: {fault}")
        return None


_CADENCE = Cadence(period_s=300, after_s=20, days_back=0, days_ahead=1, stale_after_s=1800)
PROVIDER = Provider(
    request=request,
    parse=parse,
    cadence={Signal.PRICE: _CADENCE, Signal.ALERT: _CADENCE},
    per_minute=12,
    window_days=400,
)
