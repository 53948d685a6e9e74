"""What a frame causes costs whoever sent it by what it contains."""

from __future__ import annotations

import pytest

from gridsignal_protocol.server.closing import Close
from gridsignal_protocol.server.events import Event, Look, Publish
from gridsignal_schemas.frames import CloseCode, Query
from gridsignal_schemas.messages import Record
from gridsignal_schemas.records import RECORD_OF_FRAME
from gridsignal_services.bus import LogRecord
from gridsignal_services.gateway.costs import cost_s, delivery_s
from gridsignal_services.gateway.history import StreamEntry
from tests import builders
from tests.builders import a_baseline_declaration, a_flex_offer, an_option

WRITTEN: dict[str, Record] = {
    "FlexOffer": builders.a_flex_offer(),
    "OfferWithdrawal": builders.an_offer_withdrawal(),
    "OrderResponse": builders.an_order_response(),
    "BaselineDeclaration": builders.a_baseline_declaration(),
    "MeterReading": builders.a_meter_reading(),
    "AlertAck": builders.an_alert_ack(),
    "SettlementDispute": builders.a_settlement_dispute(),
}


def written(record: Record) -> Event:
    return Publish(1, record, None, None)


def test_every_record_that_a_client_writes_has_a_cost() -> None:
    assert set(WRITTEN) == set(RECORD_OF_FRAME.values())
    assert all(cost_s([written(record)]) > 0 for record in WRITTEN.values())


def test_what_announces_something_costs_more_than_what_does_not() -> None:
    silent = {"BaselineDeclaration", "MeterReading", "AlertAck"}
    announced = [cost_s([written(record)]) for name, record in WRITTEN.items() if name not in silent]
    assert min(announced) > cost_s([written(a_baseline_declaration(power_w=[1]))])


@pytest.mark.parametrize("count", [1, 2, 7])
def test_each_option_and_each_point_costs(count: int) -> None:
    def offer(options: int) -> Event:
        return written(a_flex_offer(options=[an_option(option=f"o{number}") for number in range(options)]))

    def baseline(points: int) -> Event:
        return written(a_baseline_declaration(power_w=[1000] * points))

    assert cost_s([offer(count + 1)]) > cost_s([offer(count)])
    assert cost_s([baseline(100 * count + 1)]) > cost_s([baseline(100 * count)])


def test_many_events_cost_as_much_as_each_of_them() -> None:
    events = [written(record) for record in WRITTEN.values()] + [Look(Query(id=1), None)]
    assert cost_s(events) == pytest.approx(sum(cost_s([event]) for event in events))
    assert cost_s([Close(CloseCode.DRAIN, "")]) == 0.0


def test_only_what_is_addressed_to_somebody_is_charged_by_the_connection() -> None:
    def spent_s(record: Record) -> float:
        return delivery_s(StreamEntry(LogRecord("dispatch", 0, 0, "", b"value", 0), record))

    for record in (builders.an_offer_decision(), builders.a_dispatch_order()):
        assert spent_s(record) > 0
    for record in (builders.a_dispatch_request(), builders.a_request_cancellation(), builders.a_spot_price()):
        assert spent_s(record) == 0.0
