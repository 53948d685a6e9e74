"""What a site says, as frames carry it."""

from __future__ import annotations

import pytest

from gridsignal import MW, BaselineDeclaration, MeterReading, OrderResponse, UsageError
from gridsignal.answers import baseline_body, reading_body, response_body
from tests.builders import a_dispatch_order, utc

FLOWED = {"meter": "m1", "starts_at": utc("18:00"), "ends_at": utc("18:15"), "import_w": 28 * MW}


def test_a_response_names_the_order_and_its_revision() -> None:
    order = a_dispatch_order(revision=3)
    body = response_body(order, "ACCEPTED", accepted_w=8 * MW, actor="planner", at=utc("17:01"))
    response = OrderResponse.model_validate(body)
    assert (response.order_id, response.revision, response.accepted_w) == (order.order_id, 3, 8 * MW)


def test_an_answer_keeps_its_id_over_restarts_and_whoever_gives_it() -> None:
    order = a_dispatch_order()
    one = response_body(order, "ACCEPTED", actor="planner-1", at=utc("17:01"))
    other = response_body(order, "ACCEPTED", actor=None, at=utc("17:02"))
    assert one["response_id"] == other["response_id"]
    assert other["actor"] == "participant:acme-ai"  # nobody said who


def test_a_response_the_contract_does_not_know_is_refused_before_it_is_sent() -> None:
    with pytest.raises(UsageError, match="response"):
        response_body(a_dispatch_order(), "MAYBE", actor="planner", at=utc("17:01"))


def test_a_baseline_leaves_out_what_the_session_knows() -> None:
    body = baseline_body("fra-1", utc("18:00"), [40 * MW], 900, "declared")
    assert "participant" not in body
    assert BaselineDeclaration.model_validate(body | {"zone": "DE-LU", "participant": "acme-ai"}).power_w == [40 * MW]


def test_a_reading_counts_its_interval_unless_the_caller_counts() -> None:
    first = reading_body("fra-1", FLOWED)
    second = reading_body("fra-1", FLOWED | {"starts_at": utc("18:15"), "ends_at": utc("18:30")})
    assert second["seq"] == first["seq"] + 1
    assert reading_body("fra-1", FLOWED | {"seq": 7})["seq"] == 7
    reading = MeterReading.model_validate(first | {"zone": "DE-LU", "participant": "acme-ai"})
    assert (reading.point, reading.export_w, reading.quality) == ("CONNECTION", 0, "OK")


def test_a_reading_without_its_power_is_the_callers_mistake() -> None:
    with pytest.raises(UsageError, match="import_w"):
        reading_body("fra-1", {key: value for key, value in FLOWED.items() if key != "import_w"})
