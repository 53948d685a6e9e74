"""Baselines and readings: what is taken of what a site says of itself is the same at both gateways."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

import gridsignal
from gridsignal import MW, DispatchRequest, EnergyCertificate, OfferDecision
from gridsignal_schemas.messages import BaselineDeclaration, MeterReading
from tests.builders import a_dispatch_request, utc
from tests.integration.client_contract.hearing import hear, ordered
from tests.integration.client_stage import NOON, Stage, connected

QUARTER = timedelta(minutes=15)
READINGS: dict[str, tuple[datetime, timedelta, dict[str, Any], str]] = {
    "the last quarter of an hour": (NOON - QUARTER, QUARTER, {}, ""),
    "a whole day": (NOON - timedelta(days=1), timedelta(days=1), {}, ""),
    "more than a day": (NOON - timedelta(days=1, seconds=1), timedelta(days=1, seconds=1), {}, "reading_too_long"),
    "no time at all": (NOON - QUARTER, timedelta(0), {}, "reading_empty"),
    "a time that runs backwards": (NOON - QUARTER, -QUARTER, {}, "reading_empty"),
    "what is not over yet": (NOON, QUARTER, {}, "reading_in_future"),
    "a meter whose clock is a little ahead": (NOON - QUARTER, QUARTER + timedelta(seconds=30), {}, ""),
    "a meter whose clock is far ahead": (NOON - QUARTER, QUARTER + timedelta(seconds=31), {}, "reading_in_future"),
    "all that the connection carries": (NOON - QUARTER, QUARTER, {"import_w": 60 * MW}, ""),
    "more than the connection carries": (NOON - QUARTER, QUARTER, {"import_w": 60 * MW + 1}, "reading_above_capacity"),
    "more than it carries back": (NOON - QUARTER, QUARTER, {"export_w": 61 * MW}, "reading_above_capacity"),
    "computers that give power": (NOON - QUARTER, QUARTER, {"point": "IT", "export_w": 1}, "reading_export"),
    "a certificate": (NOON - QUARTER, QUARTER, {"certificates": [EnergyCertificate(certificate_id="gc/1")]}, ""),
    "a certificate twice": (
        NOON - QUARTER,
        QUARTER,
        {"certificates": [EnergyCertificate(certificate_id="gc/1", energy_wh=wh) for wh in (1, 2)]},
        "not sent",
    ),
    "less than nothing": (NOON - QUARTER, QUARTER, {"import_w": -1}, "not sent"),
}


@pytest.mark.parametrize("of", READINGS)
async def test_a_reading_is_taken_or_refused_with_its_code(stage: Stage, of: str) -> None:
    starts_at, length, said, code = READINGS[of]
    fields = {"meter": "m1", "starts_at": starts_at, "ends_at": starts_at + length, "import_w": 28 * MW} | said
    async with connected(stage) as grid:
        await stage.ask(a_dispatch_request())
        try:
            await grid.meter(**fields)
            got = ""
        except gridsignal.Refused as refused:
            got = refused.code
        except gridsignal.UsageError:
            got = "not sent"
    assert got == code


async def test_readings_of_one_time_are_all_taken(stage: Stage) -> None:
    """Which of them count is for those who settle."""
    async with connected(stage) as grid:
        await stage.ask(a_dispatch_request())
        for shift in (timedelta(0), timedelta(0), timedelta(minutes=-7), timedelta(hours=-3)):
            starts_at = NOON - QUARTER + shift
            await grid.meter(meter="m1", starts_at=starts_at, ends_at=starts_at + QUARTER, import_w=28 * MW)


BASELINES: dict[str, tuple[dict[str, Any], str]] = {
    "all that the connection carries": ({"power_w": [60 * MW]}, ""),
    "more than the connection carries": ({"power_w": [60 * MW, 60 * MW + 1]}, "over_capacity"),
    "minutes": ({"power_w": [40 * MW], "resolution_s": 60}, ""),
    "seconds": ({"power_w": [40 * MW], "resolution_s": 59}, "resolution"),
    "less than nothing": ({"power_w": [-1]}, "not sent"),
}


@pytest.mark.parametrize("of", BASELINES)
async def test_a_baseline_is_taken_or_refused_with_its_code(stage: Stage, of: str) -> None:
    said, code = BASELINES[of]
    async with connected(stage) as grid:
        await stage.ask(a_dispatch_request())
        try:
            await grid.declare_baseline(utc("18:00"), **said)
            got = ""
        except gridsignal.Refused as refused:
            got = refused.code
        except gridsignal.UsageError:
            got = "not sent"
    assert got == code


async def test_a_baseline_counts_for_the_requests_that_follow_it(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        await stage.ask(a_dispatch_request(power_w=40 * MW))
        first = await hear(signals, DispatchRequest)
        await grid.declare_baseline(utc("18:00"), [20 * MW] * 4)
        await stage.ask(a_dispatch_request(power_w=40 * MW, request_id="second"))
        second = await hear(signals, DispatchRequest)
        told = {}
        for request, power_w in ((first, 28), (first, 29), (second, 8), (second, 9)):
            offer_id = f"{request.request_id[:6]}-{power_w}"
            await grid.offer(request, power_w=power_w * MW, price_per_mwh="90", offer_id=offer_id)
            await stage.act()
            decided = await hear(signals, OfferDecision, offer_id=offer_id)
            told[offer_id] = (decided.decision, decided.codes)
    assert list(told.values()) == [
        ("ACCEPTED_FOR_CLEARING", []),
        ("REJECTED", ["OVERCOMMITTED"]),
        ("ACCEPTED_FOR_CLEARING", []),
        ("REJECTED", ["OVERCOMMITTED"]),
    ]


async def test_what_is_ordered_is_not_offered_again(stage: Stage) -> None:
    async with connected(stage) as grid:
        signals = grid.subscribe("dispatch")
        await ordered(stage, grid, signals)
        await stage.ask(a_dispatch_request(power_w=40 * MW, request_id="second"))
        second = await hear(signals, DispatchRequest, request_id="second")
        codes = {}
        for power_w in (16, 17):
            await grid.offer(second, power_w=power_w * MW, price_per_mwh="90", offer_id=f"o-{power_w}")
            await stage.act()
            codes[power_w] = (await hear(signals, OfferDecision, offer_id=f"o-{power_w}")).codes
    assert codes == {16: [], 17: ["OVERCOMMITTED"]}


async def test_a_baseline_declared_again_is_the_same(stage: Stage) -> None:
    async with connected(stage) as grid:
        await stage.ask(a_dispatch_request())
        before = stage.count(BaselineDeclaration)
        first = await grid.declare_baseline(utc("18:00"), [30 * MW] * 4)
        assert await grid.declare_baseline(utc("18:00"), [30 * MW] * 4) == first
    assert (stage.count(BaselineDeclaration), stage.count(MeterReading)) == (before + 1, 0)
