"""ENTSO-E Transparency Platform: day-ahead prices (A44) of some 40 zones and generation per type (A75). Free token.

The reference, and the hardest format: several series, periods and resolutions in one document, positions unsorted,
omitted (curve A03 repeats the last value up to the period's declared end; A01 means a gap) or repeated. Zones with two
auctions number them: sequence 1 is SDAC, 2 EXAA, and early in the day only the latter is there. "Nothing there" is an
acknowledgement with status 200. createdDateTime is the time of the request: there is no usable vintage.
"""

from __future__ import annotations

from dataclasses import replace

from gridsignal_schemas.messages import Record
from gridsignal_services.ingest.feed import (
    Ask,
    Call,
    FeedAnswer,
    FeedError,
    Malformed,
    NotYetAvailable,
    Provider,
    Signal,
    Unsupported,
)
from gridsignal_services.ingest.figures import unzipped
from gridsignal_services.ingest.providers import entsoe_generation, entsoe_prices
from gridsignal_services.ingest.providers.entsoe_document import Document, document, raise_refusal
from gridsignal_services.ingest.providers.entsoe_zones import area_of
from gridsignal_services.ingest.schedule import DAY_AHEAD, Cadence

ADDRESS = "https://web-api.tp.entsoe.eu/api"


def request(ask: Ask) -> Call:
    """A44 or A75 of a zone for a window; the token travels in the query string, as the platform wants it."""
    starts_at, ends_at = (when.strftime("%Y%m%d%H%M") for when in ask.window())
    domain = area_of(ask)
    if domain is None:
        raise Unsupported(f"entsoe has no area for zone {ask.zone}: [markets.{ask.zone}] area = its EIC says it")
    params = {"periodStart": starts_at, "periodEnd": ends_at, "in_Domain": domain}
    if ask.signal is Signal.CARBON:
        params |= {"documentType": "A75", "processType": "A16"}
    else:
        params |= {"documentType": "A44", "out_Domain": domain, "contract_MarketAgreement.type": "A01"}
    address = ask.settings.get("address", ADDRESS)
    return Call(address, params, secret_params={"securityToken": ask.settings.get("token", "")})


def parse(answer: FeedAnswer, ask: Ask) -> list[Record]:
    """SpotPrices of an A44 or CarbonIntensities computed from an A75, also out of a zip of several documents."""
    raise_refusal(answer)
    found: list[Record] = []
    faults: list[FeedError] = []
    for body in unzipped(answer.body):
        try:
            found += _records(document(body, ask), ask)
        except (NotYetAvailable, Malformed, Unsupported) as fault:
            faults.append(fault)
    if faults and not found:
        raise next((fault for fault in faults if not isinstance(fault, NotYetAvailable)), faults[0])
    for unread in faults:
        if not isinstance(unread, NotYetAvailable):
            ask.left_out.add(str(unread))
    return found


def _records(one: Document, ask: Ask) -> list[Record]:
    if one.kind == "A44" and ask.signal in (None, Signal.PRICE):
        return list(entsoe_prices.records(one, ask))
    if one.kind == "A75" and ask.signal in (None, Signal.CARBON):
        return list(entsoe_generation.records(one, ask))
    expected = {Signal.PRICE: "A44", Signal.CARBON: "A75"}.get(ask.signal or Signal.EVENT, "A44 or A75")
    raise Malformed(f"expected a document of type {expected}, got {one.name} {one.kind:.10}")


PROVIDER = Provider(
    request=request,
    parse=parse,
    cadence={
        Signal.PRICE: replace(DAY_AHEAD, days_back=1),
        Signal.CARBON: Cadence(period_s=900, after_s=300, days_back=1, days_ahead=1, stale_after_s=6 * 3600),
    },
    needs=("token",),
    per_minute=60,
    window_days=30,
)
