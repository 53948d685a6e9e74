"""Records with every default, consistent with each other: one evening of 2024-05-12 in Germany.

The story they tell: the day-ahead price of DE-LU falls to -135.45 at 11:00Z and climbs to 75.74 at 18:00Z.
`tso-north` asks for 12 MW less from 18:00Z to 18:45Z; `acme-ai` offers it at its site `fra-1` for 90 EUR/MWh by
moving training into the night (810.00 EUR when fully delivered), is awarded, ordered, accepts, delivers.

The defaults are the ordinary golden examples, `schemas/gridsignal_schemas/examples/<Record>.ordinary.json`.
Every builder takes the fields to change: `a_flex_offer(site="ber-1", participant="hyper-infer")`. What is built is
validated like anything else, so a builder can't make what the contract refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from gridsignal_schemas.messages import (
    AlertAck,
    AreaRegistration,
    Award,
    BaselineDeclaration,
    BaselineFixed,
    CarbonIntensity,
    Clearing,
    DispatchOrder,
    DispatchRequest,
    DisputeRejected,
    Flexibility,
    FlexOffer,
    GridAlert,
    GridClock,
    MeterReading,
    OfferDecision,
    OfferOption,
    OfferWithdrawal,
    OrderResponse,
    Rebound,
    Record,
    RegulationSetpoint,
    Rejection,
    RequestCancellation,
    Settlement,
    SettlementDispute,
    Shape,
    ShiftConfirm,
    ShiftRelease,
    ShiftReserve,
    ShiftReserved,
    SiteRegistration,
    SpotPrice,
    Standby,
    TimerFired,
    TreeHead,
)

R = TypeVar("R", bound=Record)
S = TypeVar("S", bound=Shape)

ZONE = "DE-LU"
OPERATOR = "tso-north"
PARTICIPANT = "acme-ai"
SITE = "fra-1"
REQUEST_ID = "018f6b3c-7a00-7000-8000-000000000001"
OFFER_ID = "018f6b3c-7a00-7000-8000-000000000002"
ORDER_ID = "018f6b3c-7a00-7000-8000-000000000003"
CLEARING_ID = "018f6b3c-7a00-7000-8000-000000000004"
RESPONSE_ID = "018f6b3c-7a00-7000-8000-000000000005"

MARKET_DAY = datetime(2024, 5, 11, 22, tzinfo=UTC)
"""Where the market day of 2024-05-12 begins in Central Europe."""


def utc(text: str) -> datetime:
    """`utc("18:00")` is that time on 2024-05-12; `utc("2024-05-13T04:00")` any other, both in UTC."""
    return datetime.fromisoformat(text if "T" in text else f"2024-05-12T{text}").replace(tzinfo=UTC)


@cache
def _example(record: str) -> str:
    return files("gridsignal_schemas").joinpath("examples", f"{record}.ordinary.json").read_text("utf-8")


def _ordinary(record: type[R]) -> R:
    return record.model_validate_json(_example(record.__name__))


def _like(shape: S, changes: dict[str, Any]) -> S:
    return type(shape)(**dict(shape) | changes)


# --- what the grid tells everyone -------------------------------------------------------------------------------


def a_spot_price(**changes: Any) -> SpotPrice:
    """The day-ahead curve of DE-LU for 2024-05-12, as published at 12:57 market time the day before."""
    return _like(_ordinary(SpotPrice), changes)


def a_carbon_intensity(**changes: Any) -> CarbonIntensity:
    """The measured average life-cycle intensity of DE-LU over the same day."""
    return _like(_ordinary(CarbonIntensity), changes)


def a_grid_alert(**changes: Any) -> GridAlert:
    """A reserve shortfall of the evening, open-ended, no drill."""
    return _like(_ordinary(GridAlert), changes)


def a_setpoint(**changes: Any) -> RegulationSetpoint:
    """A quarter into the band of the order, downwards: 37 MW instead of 40, a quarter hour after its start."""
    return _like(_ordinary(RegulationSetpoint), changes)


# --- what operators ask for and data centers offer --------------------------------------------------------------


def a_dispatch_request(**changes: Any) -> DispatchRequest:
    """12 MW less in DE-LU from 18:00Z to 18:45Z; gate 17:00Z, deadline 17:10Z, voluntary, pay as bid, cap 120."""
    return _like(_ordinary(DispatchRequest), changes)


def a_request_cancellation(**changes: Any) -> RequestCancellation:
    """The operator takes the request back."""
    return _like(_ordinary(RequestCancellation), changes)


def a_rebound(**changes: Any) -> Rebound:
    """The 9 MWh of a full delivery, come back between 19:00Z and 22:00Z with 6 MW at most."""
    rebound = _ordinary(FlexOffer).flexibility.rebound
    assert rebound is not None
    return _like(rebound, changes)


def a_flexibility(**changes: Any) -> Flexibility:
    """SHIFT_TIME: training that can wait until 04:00Z, with the rebound above."""
    return _like(_ordinary(FlexOffer).flexibility, changes)


def an_option(**changes: Any) -> OfferOption:
    """Option "all": 12 MW for the whole period at 90 EUR/MWh with a minute's notice, divisible down to 6 MW."""
    return _like(_ordinary(FlexOffer).options[0], changes)


def a_flex_offer(**changes: Any) -> FlexOffer:
    """One option on the request above, revision 1, expires 18:30Z."""
    return _like(_ordinary(FlexOffer), changes)


def an_offer_withdrawal(**changes: Any) -> OfferWithdrawal:
    """The offer above, taken back."""
    return _like(_ordinary(OfferWithdrawal), changes)


def an_offer_decision(**changes: Any) -> OfferDecision:
    """The offer above, awarded in full."""
    return _like(_ordinary(OfferDecision), changes)


# --- what is done -----------------------------------------------------------------------------------------------


def a_dispatch_order(**changes: Any) -> DispatchOrder:
    """The order on the offer above, to be answered by 17:05Z: five minutes after gate closure."""
    return _like(_ordinary(DispatchOrder), changes)


def an_order_response(**changes: Any) -> OrderResponse:
    """The site accepts the order above in full."""
    return _like(_ordinary(OrderResponse), changes)


def a_baseline_declaration(**changes: Any) -> BaselineDeclaration:
    """A flat 40 MW over the market day in quarter hours: 28 MW above the site's minimum load."""
    return _like(_ordinary(BaselineDeclaration), changes)


def a_meter_reading(**changes: Any) -> MeterReading:
    """The first quarter hour of the order, fully delivered: 28 MW instead of 40."""
    return _like(_ordinary(MeterReading), changes)


def a_site_registration(**changes: Any) -> SiteRegistration:
    """acme-ai's site fra-1: a 60 MW connection of which 12 MW can't be shed."""
    return _like(_ordinary(SiteRegistration), changes)


def an_area_registration(**changes: Any) -> AreaRegistration:
    """fra-1 and ber-1 behind one substation: 20 MW a minute, and 100 MW within five minutes."""
    return _like(_ordinary(AreaRegistration), changes)


def an_alert_ack(**changes: Any) -> AlertAck:
    """fra-1 has the alert above."""
    return _like(_ordinary(AlertAck), changes)


# --- what it came to --------------------------------------------------------------------------------------------


def a_baseline_fixed(**changes: Any) -> BaselineFixed:
    """What fra-1 would draw by the mean of four Sundays and Saturdays."""
    return _like(_ordinary(BaselineFixed), changes)


def a_settlement(**changes: Any) -> Settlement:
    """The order above, delivered in full: three quarter hours at 270.00 EUR each, the first version."""
    return _like(_ordinary(Settlement), changes)


def a_settlement_dispute(**changes: Any) -> SettlementDispute:
    """acme-ai holds that version to be wrong."""
    return _like(_ordinary(SettlementDispute), changes)


def a_dispute_rejected(**changes: Any) -> DisputeRejected:
    """tso-north lets it stand."""
    return _like(_ordinary(DisputeRejected), changes)


# --- the ledger's own -------------------------------------------------------------------------------------------


def an_award(**changes: Any) -> Award:
    """All of the offer above."""
    return _like(_ordinary(Clearing).awards[0], changes)


def a_standby(**changes: Any) -> Standby:
    """Another participant's offer, not needed so far."""
    return _like(Standby(offer_id="offer-b", participant="volt-colo", revision=1), changes)


def a_rejection(**changes: Any) -> Rejection:
    """An offer that got nothing, and the rule that stopped it."""
    return _like(Rejection(offer_id="offer-c", participant="hyper-infer", code="above_cap"), changes)


def a_clearing(**changes: Any) -> Clearing:
    """The request above, cleared at gate closure: one award, nobody stands by."""
    return _like(_ordinary(Clearing), changes)


def a_timer_fired(**changes: Any) -> TimerFired:
    """Gate closure of the request above."""
    return _like(_ordinary(TimerFired), changes)


def a_grid_clock(**changes: Any) -> GridClock:
    """A simulation that starts at noon and runs 600 grid seconds in a second."""
    return _like(_ordinary(GridClock), changes)


def a_tree_head(**changes: Any) -> TreeHead:
    """A signed head of partition 3 after 4321 records."""
    return _like(_ordinary(TreeHead), changes)


def a_shift_reserve(**changes: Any) -> ShiftReserve:
    """The offer's work is to move to par-1 in France, which then draws 12.36 MW more."""
    return _like(_ordinary(ShiftReserve), changes)


def a_shift_reserved(**changes: Any) -> ShiftReserved:
    """France holds the power."""
    return _like(_ordinary(ShiftReserved), changes)


def a_shift_confirm(**changes: Any) -> ShiftConfirm:
    """The shift stands."""
    return _like(_ordinary(ShiftConfirm), changes)


def a_shift_release(**changes: Any) -> ShiftRelease:
    """The German order got no answer."""
    return _like(_ordinary(ShiftRelease), changes)


# shorter names for what tests say most often
an_order = a_dispatch_order
a_request = a_dispatch_request
an_offer = a_flex_offer
a_response = an_order_response
a_reading = a_meter_reading
a_baseline = a_baseline_declaration
a_site = a_site_registration
a_timer = a_timer_fired

BUILDERS: dict[str, Callable[..., Record]] = {
    "SpotPrice": a_spot_price,
    "CarbonIntensity": a_carbon_intensity,
    "GridAlert": a_grid_alert,
    "RegulationSetpoint": a_setpoint,
    "AlertAck": an_alert_ack,
    "DispatchRequest": a_dispatch_request,
    "RequestCancellation": a_request_cancellation,
    "FlexOffer": a_flex_offer,
    "OfferWithdrawal": an_offer_withdrawal,
    "OfferDecision": an_offer_decision,
    "DispatchOrder": a_dispatch_order,
    "OrderResponse": an_order_response,
    "BaselineDeclaration": a_baseline_declaration,
    "MeterReading": a_meter_reading,
    "BaselineFixed": a_baseline_fixed,
    "Settlement": a_settlement,
    "SettlementDispute": a_settlement_dispute,
    "DisputeRejected": a_dispute_rejected,
    "SiteRegistration": a_site_registration,
    "AreaRegistration": an_area_registration,
    "Clearing": a_clearing,
    "TimerFired": a_timer_fired,
    "GridClock": a_grid_clock,
    "TreeHead": a_tree_head,
    "ShiftReserve": a_shift_reserve,
    "ShiftReserved": a_shift_reserved,
    "ShiftConfirm": a_shift_confirm,
    "ShiftRelease": a_shift_release,
}
"""The builder of every record, by its name."""
