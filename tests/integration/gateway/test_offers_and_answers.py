"""The way back: offers, withdrawals, answers, baselines, readings, and what is known about them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from gridsignal_schemas.messages import Record
from gridsignal_services.bus.publish import principal_of
from tests.builders import (
    OFFER_ID,
    REQUEST_ID,
    a_baseline_declaration,
    a_dispatch_request,
    a_flex_offer,
    a_meter_reading,
    an_order_response,
    utc,
)
from tests.integration.gateway_stand import Client, Stand

_SESSION_KNOWS = {"zone", "participant", "site", "offer_id", "response_id"}


def body_of(record: Record, **changes: Any) -> dict[str, Any]:
    """A record's body without what the session knows."""
    shown = record.model_dump(mode="json", exclude_none=True)
    return {name: value for name, value in shown.items() if name not in _SESSION_KNOWS} | changes


async def asked(stand: Stand) -> None:
    await stand.register()
    await stand.publish(a_dispatch_request(), principal="operator:tso-north")


async def offered(client: Client, **changes: Any) -> dict[str, Any]:
    return await client.ask("offer", offer_id=OFFER_ID, body=body_of(a_flex_offer(), **changes))


async def test_an_offer_is_received_once_and_its_receipt_is_the_same_for_ever(stand: Stand) -> None:
    await asked(stand)
    async with stand.client() as client:
        first = await offered(client)
        again = await offered(client)
    assert first["t"] == again["t"] == "received"
    assert first["offer_id"] == OFFER_ID
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert first["receipt"] == again["receipt"]
    value = stand.codec.encode(a_flex_offer())
    assert first["receipt"]["sha256"] == hashlib.sha256(value[5:]).hexdigest()
    assert first["receipt"]["received_at"] == "2024-05-12T12:00:00Z"


async def test_the_same_offer_with_another_content_is_a_conflict(stand: Stand) -> None:
    await asked(stand)
    async with stand.client() as client:
        await offered(client)
        other = await offered(client, expires_at="2024-05-12T18:31:00Z")
    assert (other["t"], other["code"], other["retriable"]) == ("refused", "conflict", False)
    assert other["offer_id"] == OFFER_ID


async def test_a_broken_body_is_refused_with_every_fault_and_its_place(stand: Stand) -> None:
    async with stand.client() as client:
        refused = await offered(client, expires_at="tomorrow", revision="1", colour="green")
    assert (refused["t"], refused["code"]) == ("refused", "schema")
    assert {detail["pointer"] for detail in refused["details"]} == {"/expires_at", "/revision", "/colour"}


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("participant", "volt-colo", "forbidden"),
        ("site", "muc-1", "forbidden"),
        ("zone", "FR", "schema"),
        ("offer_id", "another", "schema"),
    ],
)
async def test_a_body_that_contradicts_the_session_is_refused(stand: Stand, field: str, value: str, code: str) -> None:
    async with stand.client() as client:
        refused = await offered(client, **{field: value})
    assert (refused["t"], refused["code"]) == ("refused", code)
    assert refused["details"][0]["pointer"] == f"/{field}"


async def test_nobody_offers_without_a_site_or_without_the_scope(stand: Stand) -> None:
    async with stand.client(site=None) as siteless:
        assert (await offered(siteless))["code"] == "forbidden"
    async with stand.client(token=stand.token(scopes=("signal:read",))) as reader:
        assert (await offered(reader))["code"] == "forbidden"


async def test_an_order_reaches_its_site_alone_and_is_answered(stand: Stand) -> None:
    await asked(stand)
    neighbour = stand.client(site="muc-1", token=stand.token("volt-colo"))
    async with stand.client() as client, neighbour as other:
        await client.subscribe("dispatch")
        await other.subscribe("dispatch")
        await offered(client)
        await stand.clear(REQUEST_ID)
        told = [await client.signal() for _ in range(2)]
        assert [signal["type"] for signal in told] == ["OfferDecision", "DispatchOrder"]
        order = told[-1]["body"]
        assert order["power_w"] == 12_000_000
        body = body_of(an_order_response(), order_id=order["order_id"], revision=order["revision"])
        answer = await client.ask("respond", response_id="answer-1", body=body)
        assert (answer["t"], answer["response_id"]) == ("received", "answer-1")
        assert answer["receipt"]["response_id"] == "answer-1"
        states = await client.ask(
            "query", offer_ids=[OFFER_ID, "never-sent"], order_ids=[order["order_id"]], response_ids=["answer-1"]
        )
        nothing = await other.ask(
            "query", offer_ids=[OFFER_ID], order_ids=[order["order_id"]], response_ids=["answer-1"]
        )
        assert [frame for frame in await other.round_trip() if frame["t"] == "signal"] == []
    assert states["offers"][OFFER_ID]["state"] == "AWARDED"
    assert states["offers"]["never-sent"] is None
    assert states["orders"][order["order_id"]]["state"] == "ACCEPTED"
    assert states["responses"]["answer-1"]["receipt"] == answer["receipt"]
    assert list(nothing["offers"].values()) == [None]
    assert list(nothing["orders"].values()) == [None]
    assert list(nothing["responses"].values()) == [None]


async def test_what_is_live_is_told_with_the_order_as_it_stands_and_to_nobody_else(stand: Stand) -> None:
    await asked(stand)
    neighbour = stand.client(site="muc-1", token=stand.token("volt-colo"))
    stranger = stand.client(site=None, token=stand.token("hyper-infer"))
    async with stand.client() as client, neighbour as other, stranger as third:
        await offered(client)
        before = await client.ask("query", live=True)
        await client.subscribe("dispatch")
        await stand.clear(REQUEST_ID)
        order = (await client.until(lambda frame: frame.get("type") == "DispatchOrder"))["body"]
        body = body_of(an_order_response(), order_id=order["order_id"], accepted_w=8_000_000)
        await client.ask("respond", response_id="answer-1", body=body)
        now = await client.ask("query", live=True)
        others = [await each.ask("query", live=True) for each in (other, third)]
        async with stand.client(site=None) as whole:
            everywhere = await whole.ask("query", live=True)
        await client.ask("respond", response_id="r", body=body | {"response": "UNAVAILABLE", "available_w": 0})
        after = await client.ask("query", live=True)
    assert (before["offers"][OFFER_ID]["state"], before["orders"], before["more"]) == ("LIVE", {}, False)
    assert before["offers"][OFFER_ID]["body"]["options"][0]["power_w"] == 12_000_000
    stands = now["orders"][order["order_id"]]
    assert (stands["state"], stands["power_w"], stands["answered"]) == ("ACCEPTED", 8_000_000, ["ACCEPTED"])
    assert stands["body"] == order | {"state": "ACCEPTED", "power_w": 8_000_000}
    assert now["offers"][OFFER_ID]["state"] == "AWARDED"
    assert [(each["offers"], each["orders"]) for each in others] == [({}, {}), ({}, {})]
    assert (everywhere["orders"], everywhere["offers"]) == (now["orders"], now["offers"])
    assert (after["orders"], after["offers"]) == ({}, {})


@pytest.mark.parametrize("bound", [{"live_states": 2}, {"live_bytes": 1700}])
async def test_an_answer_to_what_is_live_is_bounded_and_says_that_there_is_more(
    tmp_path: Path, bound: dict[str, int]
) -> None:
    async with Stand.open(tmp_path, **bound) as stand:
        await asked(stand)
        async with stand.client() as client:
            for name in ("one", "two", "three"):
                await client.ask("offer", offer_id=name, body=body_of(a_flex_offer()))
            states = await client.ask("query", live=True)
    assert (list(states["offers"]), states["more"]) == (["one", "two"], True)


async def test_an_answer_the_ledger_does_not_accept_is_refused_with_its_code(stand: Stand) -> None:
    await asked(stand)
    async with stand.client() as client:
        refused = await client.ask(
            "respond", response_id="answer-1", body=body_of(an_order_response(), order_id="no-such-order")
        )
    assert (refused["t"], refused["response_id"], refused["code"]) == ("refused", "answer-1", "order_unknown")
    assert refused["details"][0]["pointer"] == "/order_id"


async def test_an_offer_can_be_taken_back(stand: Stand) -> None:
    await asked(stand)
    async with stand.client() as client:
        await offered(client)
        body = {"request_id": REQUEST_ID, "reason": "a job came in"}
        first = await client.ask("withdraw", offer_id=OFFER_ID, body=body)
        again = await client.ask("withdraw", offer_id=OFFER_ID, body=body)
        states = await client.ask("query", offer_ids=[OFFER_ID])
    assert (first["t"], again["duplicate"]) == ("received", True)
    assert states["offers"][OFFER_ID]["state"] == "WITHDRAWN"


async def test_an_offer_can_be_taken_back_without_a_word(stand: Stand) -> None:
    await asked(stand)
    async with stand.client() as client:
        await offered(client)
        assert (await client.ask("withdraw", offer_id=OFFER_ID))["t"] == "received"


async def test_a_baseline_and_a_reading_have_receipts_too(stand: Stand) -> None:
    await stand.register()
    async with stand.client() as client:
        baseline = await client.ask("baseline", body=body_of(a_baseline_declaration(method="another")))
        past = a_meter_reading(starts_at=utc("11:00"), ends_at=utc("11:15"))
        reading = await client.ask("reading", body=body_of(past))
    assert baseline["t"] == reading["t"] == "received"
    value = stand.codec.encode(past)
    assert reading["receipt"]["sha256"] == hashlib.sha256(value[5:]).hexdigest()
    assert "offer_id" not in reading["receipt"]


async def test_whatever_a_gateway_writes_names_it_by_one_name(stand: Stand) -> None:
    await stand.register()
    async with stand.client() as client:
        await client.ask("baseline", body=body_of(a_baseline_declaration(method="another")))
        await client.ask("reading", body=body_of(a_meter_reading(starts_at=utc("11:00"), ends_at=utc("11:15"))))
    for stream in ("dispatch", "readings"):
        reader = await stand.log.reader(stream, await stand.log.start_positions(stream))
        written = await reader.read()
        await reader.aclose()
        sources = [one.headers["ce_source"] for one in written if principal_of(one) == "participant:acme-ai"]
        assert sources == [stand.replica.source]


async def test_answers_come_for_every_offer_of_a_full_window(stand: Stand) -> None:
    await asked(stand)
    async with stand.client() as client:
        for number in range(64):
            await client.send({"t": "offer", "offer_id": f"offer-{number}", "body": body_of(a_flex_offer())})
        answers = [await client.until(lambda frame: frame["t"] == "received") for _ in range(64)]
    assert {answer["offer_id"] for answer in answers} == {f"offer-{number}" for number in range(64)}
