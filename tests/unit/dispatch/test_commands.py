"""What a person asks for becomes a record, or is told what is wrong with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gridsignal_services.access import Entitlements, Principal
from gridsignal_services.bus.codec import Codec
from gridsignal_services.dispatch.commands import asked, body_faults, differences, pick_faults, request_id_of
from gridsignal_services.dispatch.shapes import AwardBody, RequestBody
from gridsignal_services.registry import example_registry
from tests.unit.test_strict_json import BODY

CODEC = Codec.from_lock()
REGISTRY = example_registry()
TSO = Principal("operator", "tso-north", "desk", frozenset(), datetime(2030, 1, 1, tzinfo=UTC))
MINE: Entitlements = REGISTRY.entitlements(TSO)


def a_body(**changes: Any) -> RequestBody:
    return RequestBody.model_validate_json(json.dumps(BODY | changes))


def codes(**changes: Any) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in body_faults(a_body(**changes), MINE, REGISTRY)]


def test_a_key_names_one_request_of_one_operator_for_ever() -> None:
    assert request_id_of("tso-north", "k") == request_id_of("tso-north", "k")
    assert len({request_id_of(who, key) for who in ("tso-north", "supplier-one") for key in ("k", "l")}) == 4


def test_a_request_takes_its_zones_currency_unless_it_says_another() -> None:
    assert asked(a_body(), "r1", 1, "tso-north", REGISTRY).currency == "EUR"
    assert asked(a_body(zone="GB"), "r1", 1, "tso-north", REGISTRY).currency == "GBP"
    assert asked(a_body(currency="CHF"), "r1", 3, "tso-north", REGISTRY).currency == "CHF"


def test_a_zone_that_is_not_ours_is_as_unknown_as_one_that_is_not() -> None:
    assert codes() == []
    assert codes(zone="GB") == codes(zone="XX") == [("/zone", "ZONE_UNKNOWN")]


def test_an_audience_is_named_by_participants_of_the_zone() -> None:
    assert codes(visibility="LISTED", audience=["acme-ai", "volt-colo"]) == []
    assert codes(zone="FR", visibility="LISTED", audience=["volt-colo", "nobody"]) == [
        ("/audience/0", "AUDIENCE_UNKNOWN"),
        ("/audience/1", "AUDIENCE_UNKNOWN"),
    ]
    assert codes(visibility="LISTED") == [("/audience", "AUDIENCE_EMPTY")]


def test_a_conflict_says_what_is_not_there_and_lists_in_words() -> None:
    listed = {"visibility": "LISTED", "audience": ["acme-ai", "volt-colo"], "congestion_point": "line-7"}
    one, other = (asked(a_body(**more), "r1", 1, "tso-north", REGISTRY) for more in ({}, listed))
    told = {fault.pointer: fault.message for fault in differences(one, other)}
    assert told == {
        "/visibility": "expected PUBLIC as this key has asked already, got LISTED",
        "/audience": "expected nothing as this key has asked already, got acme-ai, volt-colo",
        "/congestion_point": "expected nothing as this key has asked already, got line-7",
    }


def test_an_offer_is_picked_once() -> None:
    pick = {"participant": "acme-ai", "offer_id": "o", "option": "a", "power_w": 1}
    other = pick | {"participant": "volt-colo"}
    award = AwardBody.model_validate({"picks": [pick, other, pick | {"option": "b"}], "reason": "x"})
    assert [(fault.pointer, fault.code) for fault in pick_faults(award)] == [("/picks/2", "PICKED_TWICE")]


@given(
    bound=st.sampled_from([datetime(1901, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)]),
    seconds=st.integers(-86_400, 86_400),
    minutes=st.integers(-1439, 1439),
    field=st.sampled_from(["starts_at", "ends_at", "gate_closure_at", "decision_deadline"]),
)
def test_a_body_that_can_be_read_makes_a_record_that_can_be_written(
    bound: datetime, seconds: int, minutes: int, field: str
) -> None:
    at = (bound + timedelta(seconds=seconds)).astimezone(timezone(timedelta(minutes=minutes)))
    try:
        body = a_body(**{field: at.isoformat()})
    except ValidationError:
        return
    CODEC.encode(asked(body, "r1", 1, "tso-north", REGISTRY))
