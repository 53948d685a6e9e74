"""What a data center signs is looked at by the gateway, lies on the log as it came, and counts once."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gridsignal.signing import public_key
from gridsignal_schemas.avro_bytes import newest, payload_of
from gridsignal_schemas.messages import Record
from gridsignal_services.bus.between import read_between
from gridsignal_services.bus.publish import signature_of
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.registry import Registry, example_registry_text
from tests.builders import OFFER_ID, a_baseline_declaration, a_dispatch_request, a_flex_offer, a_meter_reading
from tests.integration.gateway.test_offers_and_answers import body_of
from tests.integration.gateway_stand import Client, Stand
from tests.patience import SOON_S
from tests.signing import ACME, DEPLOYMENT, RIVAL, signed

KEYS = f"""
[participants.acme-ai.keys.{ACME.key_id}]
public_key = "{public_key(ACME)}"
[participants.hyper-infer.keys.{RIVAL.key_id}]
public_key = "{public_key(RIVAL)}"
"""


def registry(strict: str = "") -> Registry:
    """The example with keys; `strict` names the table of who asks for signatures."""
    text = f'signed_for = "{DEPLOYMENT}"\n{example_registry_text()}{KEYS}'
    return Registry.parse(text.replace(f"[{strict}]", f'[{strict}]\nsignatures = "required"'))


async def stand_with(stand: Stand, strict: str = "") -> None:
    await stand.register()
    await stand.register("ber-1", "hyper-infer")
    await stand.publish(a_dispatch_request(), principal="operator:tso-north")
    stand.gateway.entitle(registry(strict))


def now_s(stand: Stand) -> int:
    return stand.time.wall_s()


async def offered(stand: Stand, client: Client, signature: str | None, **changes: Any) -> dict[str, Any]:
    with_it = {} if signature is None else {"signature": signature}
    return await client.ask("offer", offer_id=OFFER_ID, body=body_of(a_flex_offer(), **changes), **with_it)


async def last_on_log(stand: Stand, stream: str, zone: str = "DE-LU") -> Any:
    found = []
    for partition, end in (await stand.log.end_positions(stream)).items():
        if end:
            found += [each for each in await read_all(stand, stream, partition, end) if each.key == zone]
    return found[-1]


async def read_all(stand: Stand, stream: str, partition: int, end: int) -> list[Any]:
    found: list[Any] = []
    await read_between(stand.log, stream, {partition: 0}, {partition: end}, found.append)
    return found


async def test_a_signed_offer_lies_on_the_log_with_its_signature_over_the_bytes_of_its_receipt(stand: Stand) -> None:
    await stand_with(stand, "participants.acme-ai")
    offer = a_flex_offer()
    signature = signed(offer, now_s=now_s(stand))
    async with stand.client() as client:
        assert (client.welcome["participant"], client.welcome["zone"]) == ("acme-ai", "DE-LU")
        received = await offered(stand, client, signature)
        again = await offered(stand, client, signature)
        anew = await offered(stand, client, signed(offer, now_s=now_s(stand), name="another"))
    assert received["t"] == "received"
    payload = payload_of(offer, newest("FlexOffer"))
    assert payload is not None
    assert received["receipt"]["sha256"] == hashlib.sha256(payload).hexdigest()
    assert [each["receipt"] for each in (again, anew)] == [received["receipt"]] * 2
    assert signature_of(await last_on_log(stand, "dispatch")) == signature


@pytest.mark.parametrize("strict", ["participants.acme-ai", "operators.tso-north"])
async def test_what_has_to_be_signed_and_is_not_is_refused(stand: Stand, strict: str) -> None:
    await stand_with(stand, strict)
    async with stand.client() as client:
        refused = await offered(stand, client, None)
        assert (refused["code"], refused["retriable"]) == ("signature_required", False)
        assert (await offered(stand, client, signed(a_flex_offer(), now_s=now_s(stand))))["t"] == "received"
        reading = await client.ask("reading", body=body_of(a_meter_reading()))
    owed = strict.startswith("participants")
    assert (reading.get("code") == "signature_required") is owed, "an operator asks for what is about its requests"


async def test_what_an_operator_asks_for_nobody_escapes_by_not_naming_its_request(stand: Stand) -> None:
    await stand_with(stand, "operators.tso-north")
    async with stand.client() as client:
        assert (await offered(stand, client, signed(a_flex_offer(), now_s=now_s(stand))))["t"] == "received"
        withdrawn = await client.ask("withdraw", offer_id=OFFER_ID, body={"reason": ""})
        other = await client.ask("withdraw", offer_id=OFFER_ID, body={"reason": "", "request_id": "another"})
    assert [each["code"] for each in (withdrawn, other)] == ["signature_required"] * 2


async def test_one_that_is_not_asked_for_is_looked_at_all_the_same(stand: Stand) -> None:
    await stand_with(stand)
    async with stand.client() as client:
        foreign = await offered(stand, client, signed(a_flex_offer(), RIVAL, now_s=now_s(stand)))
        other = await offered(stand, client, signed(a_flex_offer(revision=2), now_s=now_s(stand)))
        late = await offered(stand, client, signed(a_flex_offer(), now_s=now_s(stand) - 3600))
        assert (await offered(stand, client, None))["t"] == "received"
    assert [each["code"] for each in (foreign, other, late)] == [
        "signature_invalid",
        "signature_invalid",
        "signature_expired",
    ]


async def test_a_rival_with_a_good_key_can_send_nothing_that_another_signed(stand: Stand) -> None:
    await stand_with(stand, "participants.acme-ai")
    taken = signed(a_flex_offer(), now_s=now_s(stand))
    async with stand.client(site="ber-1", token=stand.token("hyper-infer")) as rival:
        as_its_own = await offered(stand, rival, taken)
        as_the_others = await offered(stand, rival, taken, participant="acme-ai", site="fra-1")
    assert [as_its_own["code"], as_the_others["code"]] == ["signature_invalid", "forbidden"]


async def test_an_older_baseline_sent_again_undoes_no_newer_one_at_whichever_gateway(
    stand: Stand, tmp_path: Path
) -> None:
    await stand_with(stand)
    older, newer = a_baseline_declaration(), a_baseline_declaration(method="newer")
    first, second = (signed(each, now_s=now_s(stand), name=each.method) for each in (older, newer))
    other = stand.another(GatewaySettings(data_directory=tmp_path / "other", port=0))
    other.entitle(registry())
    running = asyncio.create_task(other.run())
    try:
        async with asyncio.timeout(SOON_S):
            await other.ready()
        async with stand.client() as one, stand.client(gateway=other) as two:
            assert [(await declared(one, each, of))["t"] for each, of in ((older, first), (newer, second))] == [
                "received",
                "received",
            ]
            replayed = [await declared(client, older, first) for client in (one, two)]
            anew = await declared(two, older, signed(older, now_s=now_s(stand), name="anew"))
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert [each["code"] for each in replayed] == ["signature_replayed"] * 2
    assert anew["t"] == "received"


@pytest.mark.parametrize("behind_s", [1, 59, 100, 299])
async def test_a_clock_that_is_behind_signs_what_counts_after_as_long_as_a_gateway_that_started_says(
    tmp_path: Path, behind_s: int
) -> None:
    baseline = a_baseline_declaration()
    async with Stand.open(tmp_path, all_by_hand=True) as stand, stand.client() as client:
        await stand_with(stand)
        early = await declared(client, baseline, signed(baseline, now_s=now_s(stand) - behind_s))
        assert (early["code"], early["retriable"]) == ("signature_replayed", True)
        assert early["retry_after_ms"] == behind_s * 1000
        assert "since this gateway started" in early["details"][0]["message"]
        stand.clock.move_to(stand.clock.now() + timedelta(milliseconds=early["retry_after_ms"]))
        again = await declared(client, baseline, signed(baseline, now_s=now_s(stand) - behind_s, name="again"))
        assert again["t"] == "received"


async def test_a_signature_that_was_used_is_no_better_later(stand: Stand) -> None:
    await stand_with(stand)
    baseline = a_baseline_declaration()
    signature = signed(baseline, now_s=now_s(stand))
    async with stand.client() as client:
        assert (await declared(client, baseline, signature))["t"] == "received"
        assert not (await declared(client, baseline, signature))["retriable"]


async def declared(client: Client, record: Record, signature: str) -> dict[str, Any]:
    return await client.ask("baseline", body=body_of(record), signature=signature)
