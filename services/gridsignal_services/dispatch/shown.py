"""What the OpenAPI document shows as each operation's answer: one evening, the golden examples' own."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any, TypeVar

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from gridsignal_schemas.evidence import Evidence, Extension, Heads, Proof, ProvedRecord
from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.messages import (
    AlertAck,
    AreaRegistration,
    BaselineDeclaration,
    BaselineFixed,
    CarbonIntensity,
    Clearing,
    DispatchOrder,
    DispatchRequest,
    FlexOffer,
    GridAlert,
    MeterReading,
    OrderState,
    Record,
    Settlement,
    SiteRegistration,
    SpotPrice,
    TreeHead,
)
from gridsignal_schemas.reports import MatchingReport
from gridsignal_schemas.rules import vintages
from gridsignal_schemas.rules.lifecycle import OfferState, RequestShown, RequestState, SettlementState
from gridsignal_schemas.rules.products import Products
from gridsignal_services.alerting.contact import Contact
from gridsignal_services.alerting.table import AlertTable, KnownAlert
from gridsignal_services.bus.codec import Codec
from gridsignal_services.clock import micros
from gridsignal_services.dispatch import (
    alerts,
    baselines,
    contacts,
    matching,
    me,
    operations,
    outlook,
    signals,
    statements,
    totals,
)
from gridsignal_services.dispatch.book import BookView, OfferLine, OptionLine
from gridsignal_services.dispatch.setpoints import Sent
from gridsignal_services.dispatch.sheet import LISTS
from gridsignal_services.dispatch.statement import Statement, Sums, statement_order
from gridsignal_services.dispatch.views import (
    Offers,
    OfferView,
    Orders,
    OrderStep,
    OrderView,
    Readings,
    Requests,
    RequestView,
    Settlements,
    SettlementView,
    SiteView,
)
from gridsignal_services.ledger.area_curve import AreaCurve, CurveStep, ZoneCurve, area_curve
from gridsignal_services.ledger.delivered import DeliveryInterval
from gridsignal_services.ledger.tracked import SettledOrder, TrackedSettlement
from gridsignal_services.products import SHIPPED
from gridsignal_services.registry import FailsafeEntry
from gridsignal_services.rest.accept import CSV, HTML, JSON
from gridsignal_services.settlement.delivery import amount

R = TypeVar("R", bound=Record)


def show_answers(router: APIRouter) -> None:
    """Puts an example beside the answer of every operation whose shape has one."""
    shown = _answers()
    for route in router.routes:
        if isinstance(route, APIRoute) and route.response_model in shown:
            example = TypeAdapter(route.response_model).dump_python(shown[route.response_model], mode="json")
            content: dict[str, Any] = {JSON: {"example": example}}
            if route.path in LISTS and "GET" in (route.methods or ()):
                content[CSV] = {"schema": {"type": "string"}}
            if route.path in (statements.PATH, matching.PATH):
                content |= {form: {"schema": {"type": "string"}} for form in (CSV, HTML)}
            route.responses[route.status_code or 200] = {"content": content}


def _golden(record: type[R]) -> R:
    text = files("gridsignal_schemas").joinpath("examples", f"{record.__name__}.ordinary.json").read_text("utf-8")
    return record.model_validate_json(text)


def _answers() -> dict[Any, Any]:
    """An example of each shape of answer."""
    request, order, offer = _request(), _order(), _offer()
    hour = _golden(DispatchRequest).starts_at, _golden(DispatchRequest).starts_at + timedelta(hours=1)
    prices, carbon = _golden(SpotPrice), _golden(CarbonIntensity)
    known = [vintages.Logged(series.observed_at, series) for series in (prices, carbon)]
    return {
        RequestView: request,
        Requests: Requests(requests=[request], next=None),
        BookView: _book(),
        OrderView: order,
        Orders: Orders(orders=[order], next=None),
        SettlementView: _settlement(),
        Settlements: Settlements(settlements=[_settlement()], next=None),
        Statement: _statement(),
        MatchingReport: matching.an_hour(_golden(MeterReading), known[1]),
        alerts.Alerts: alerts.Alerts(alerts=[alerts.alert_view(_alert(), hour[0])], next=None),
        alerts.AlertSites: _alert_sites(),
        contacts.ContactsPage: _contacts(),
        Offers: Offers(offers=[offer], next=None),
        list[SiteRegistration | SiteView]: [_golden(SiteRegistration)],
        list[AreaRegistration]: [_golden(AreaRegistration)],
        AreaCurve: _curve(hour[0]),
        Heads: Heads(heads=[_evidence(None)]),
        Proof: _proof(),
        Products: Products(products=[SHIPPED["MFRR_EU"]]),
        baselines.Baselines: _baselines(),
        baselines.FixedBaselines: baselines.FixedBaselines(baselines=[_golden(BaselineFixed)], next=None),
        outlook.BaselineOutlook: outlook.outlook_of(_golden(BaselineFixed), is_fixed=False),
        totals.Totals: totals.an_evening(_golden(DispatchRequest)),
        Sent: Sent(logged=1, refused=[]),
        me.Me: _me(order.order),
        operations.Operations: operations.an_evening(),
        Readings: Readings(readings=[_golden(MeterReading)], ignored=[]),
        signals.Prices: signals.Prices(as_of=hour[0], curves=vintages.prices(known, *hour, hour[0])),
        signals.Carbon: signals.Carbon(
            as_of=carbon.observed_at, curves=vintages.carbon(known, *hour, carbon.observed_at)
        ),
    }


def _evidence(record: ProvedRecord | None) -> Evidence:
    head = _golden(TreeHead)
    return Evidence(head=head, record=record, extends=Extension(size=head.size - 1000, path=["37" * 32]))


def _proof() -> Proof:
    offer, path = _golden(FlexOffer), ["37" * 32, "5b" * 32]
    record = ProvedRecord(
        offset=_golden(TreeHead).size - 12,
        appended_us=micros(_receipt(offer).received_at),
        principal=f"participant:{offer.participant}",
        value=b64encode(Codec.from_lock().encode(offer)).decode(),
        path=path,
    )
    plain = offer.model_dump(mode="json")
    return Proof(record_name=offer.record_name, record=plain, evidence=_evidence(record))


def _curve(since: datetime) -> AreaCurve:
    step = CurveStep(
        starts_at=since,
        falls_w_per_min=0,
        rises_w_per_min=12_000_000,
        falls_w=0,
        rises_w=12_000_000,
        above_baseline_w=0,
    )
    zone = ZoneCurve(limits=_golden(AreaRegistration), baseline_w=80_000_000, steps=[step])
    return area_curve("substation-east", since, [zone])


def _alert() -> KnownAlert:
    table, alert, ack = AlertTable(), _golden(GridAlert), _golden(AlertAck)
    table.publish(alert, alert.issued_at)
    table.acknowledge(ack, ack.at)
    _, known = next(table.all())
    return known


def _alert_sites() -> alerts.AlertSites:
    known, ack = _alert(), _golden(AlertAck)
    nothing = alerts.Step(at=None, is_late=False)
    site = alerts.SiteAlert(
        site=ack.site,
        received=alerts.Step(at=ack.at, is_late=False),
        understood_at=None,
        will_act_at=None,
        cannot_act_at=None,
        applied=nothing,
        verified=alerts.Verified(at=None, power_w=None),
        actor=ack.actor,
        reason_code=ack.reason_code,
        reason=ack.reason,
    )
    return alerts.AlertSites(**dict(alerts.alert_view(known, ack.at)), sites=[site], next=None)


def _contacts() -> contacts.ContactsPage:
    ack = _golden(AlertAck)
    profile = FailsafeEntry(heartbeat_s=60, limit_w=30_000_000, minimum_s=7200)
    view = contacts.ContactView(
        zone=ack.zone,
        site=ack.site,
        contact=Contact.FAILSAFE,
        is_silent=True,
        heard_at=ack.at,
        until=ack.at + timedelta(seconds=60 + 7200 + 600),
        failsafe=profile,
    )
    return contacts.ContactsPage(contacts=[view], next=None)


def _me(order: DispatchOrder) -> me.Me:
    return me.Me(
        role="operator",
        organisation="tso-north",
        subject="control-room",
        scopes=["dispatch:write", "signal:read"],
        token_expires_at=order.starts_at + timedelta(days=30),
        zones=[me.ZoneShown(zone=order.zone, timezone="Europe/Berlin", currency="EUR")],
        sites=[],
        now=order.starts_at,
        rate=1.0,
        gateway="wss://grid.example:8081",
        ingest="https://grid.example:8083",
    )


def _settlement() -> SettlementView:
    settlement = _golden(Settlement)
    until = settlement.intervals[-1].ends_at
    return SettlementView(
        settlement=settlement,
        state=SettlementState.PROVISIONAL,
        logged_at=until + timedelta(hours=1),
        disputable_until=until + timedelta(hours=1, days=14),
        disputes=[],
    )


def _statement() -> Statement:
    view, sums = _settlement(), Sums()
    sums.add(view.settlement)
    ended_at = view.settlement.intervals[-1].ends_at
    of = SettledOrder.named_by(view.settlement, timedelta(days=14), ended_at + timedelta(days=1098))
    tracked = TrackedSettlement(view.settlement.order_id, of, ended_at, view.state, view.settlement, view.logged_at)
    return Statement(
        month="2024-05",
        of=f"participant:{view.settlement.participant}",
        as_of=view.logged_at,
        zone=None,
        site=None,
        count=1,
        unsettled=sums.unsettled,
        totals=sums.totals(),
        carbon=[],
        orders=[statement_order(_golden(DispatchOrder), tracked)],
        next=None,
    )


def _baselines() -> baselines.Baselines:
    declared = _golden(BaselineDeclaration)
    stretch = baselines.BaselineStretch(
        starts_at=declared.starts_at,
        ends_at=declared.starts_at + timedelta(seconds=declared.resolution_s),
        power_w=declared.power_w[0],
        method=declared.method,
        declared_at=declared.starts_at - timedelta(days=1),
    )
    return baselines.Baselines(site=declared.site, stretches=[stretch])


def _request() -> RequestView:
    return RequestView(
        request=_golden(DispatchRequest),
        state=RequestShown.AWARDED,
        waits_for_clearing=False,
        offers=1,
        orders=[_golden(DispatchOrder).order_id],
    )


def _order() -> OrderView:
    order, reading = _golden(DispatchOrder), _golden(MeterReading)
    price = order.price_per_mwh or Decimal(0)
    interval = DeliveryInterval(
        starts_at=reading.starts_at,
        ends_at=reading.ends_at,
        baseline_w=reading.import_w + order.power_w,
        actual_w=reading.import_w,
        ordered_w=order.power_w,
        delivered_w=order.power_w,
        deficiency_w=0,
        delivered_wh=order.power_w // 4,
        amount=amount(order.power_w * 900, price),
    )
    step = OrderStep(
        at=_issued_at(order),
        state=OrderState.ISSUED,
        actor=order.actor,
        principal="service:dispatch",
        reason_code=order.reason_code,
        reason="",
    )
    return OrderView(
        order=order,
        state=OrderState.ACTIVE,
        accepted_w=order.power_w,
        extendable_until=order.ends_at,
        history=[step],
        ordered_wh=order.power_w // 4,
        delivered_wh=order.power_w // 4,
        amount=interval.amount,
        currency=_golden(DispatchRequest).currency,
        metered_s=900,
        metered=[interval],
        next_metered=None,
    )


def _issued_at(order: DispatchOrder) -> datetime:
    return order.respond_by - timedelta(seconds=_golden(DispatchRequest).respond_within_s)


def _offer() -> OfferView:
    offer = _golden(FlexOffer)
    return OfferView(
        offer=offer,
        state=OfferState.AWARDED,
        codes=[],
        option=offer.options[0].option,
        awarded_w=offer.options[0].power_w,
        order_id=_golden(DispatchOrder).order_id,
        receipt=_receipt(offer),
    )


def _receipt(offer: FlexOffer) -> Receipt:
    received_at = _golden(DispatchRequest).gate_closure_at - timedelta(hours=1)
    return Receipt(offer_id=offer.offer_id, revision=offer.revision, sha256="37" * 32, received_at=received_at)


def _book() -> BookView:
    offer, request = _golden(FlexOffer), _golden(DispatchRequest)
    option = offer.options[0]
    shown = {name: getattr(option, name) for name in OptionLine.model_fields if name != "effective_price_per_mwh"}
    line = OfferLine(
        place=1,
        rank=1,
        participant=offer.participant,
        site=offer.site,
        offer_id=offer.offer_id,
        revision=offer.revision,
        state=OfferState.AWARDED,
        codes=[],
        reason="",
        option=option.option,
        awarded_w=option.power_w,
        options=[OptionLine(effective_price_per_mwh=option.price_per_mwh, **shown)],
        received_at=_receipt(offer).received_at,
        expires_at=offer.expires_at,
        order_id=_golden(DispatchOrder).order_id,
        order_state=OrderState.ACTIVE,
    )
    return BookView(
        request=request,
        state=RequestState.ACTIVE,
        offered_w=option.power_w,
        awarded_w=option.power_w,
        offers=[line],
        clearings=[_golden(Clearing)],
    )
