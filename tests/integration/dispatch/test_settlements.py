"""What orders came to, at the doors: both parties read it, the participant disputes it, the operator answers."""

from __future__ import annotations

import asyncio
import csv
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import gridsignal
from gridsignal import MW, Settlement
from gridsignal_services.settlement.rules import STANDARD
from tests.integration.dispatch.conftest import Day
from tests.integration.gateway_stand import open_client
from tests.patience import SOON_S


async def test_both_parties_read_what_an_order_came_to_and_nobody_else(day: Day) -> None:
    settlement = await settled(day)
    order_id = settlement["settlement"]["order_id"]

    for token in (day.stack.token("operator", "tso-north"), day.stack.token("participant", "acme-ai")):
        who = {"Authorization": f"Bearer {token}"}
        listed = (await day.operator.get("/v1/settlements", headers=who)).json()["settlements"]
        assert [each["settlement"]["settlement_id"] for each in listed] == [settlement["settlement"]["settlement_id"]]
        one = await day.operator.get(f"/v1/orders/{order_id}/settlement", headers=who)
        assert one.json() == listed[0]
        written = datetime.fromisoformat(one.json()["logged_at"])
        until = written + timedelta(seconds=STANDARD.dispute_window_s)
        assert datetime.fromisoformat(one.json()["disputable_until"]) == until
    others = {"Authorization": f"Bearer {day.stack.token('participant', 'volt-colo')}"}
    assert (await day.operator.get("/v1/settlements", headers=others)).json()["settlements"] == []
    assert (await day.operator.get(f"/v1/orders/{order_id}/settlement", headers=others)).status_code == 404


async def test_the_parties_of_an_order_that_is_not_over_are_told_when_it_is_settled_and_nobody_else(day: Day) -> None:
    order = await day.order()
    asked = [f"/v1/orders/{order_id}/settlement" for order_id in (order.order_id, "no-such-order")]
    said: dict[str, list[dict[str, Any]]] = {}
    for role, who in (("operator", "tso-north"), ("participant", "acme-ai"), ("participant", "volt-colo")):
        headers = {"Authorization": f"Bearer {day.stack.token(role, who)}"}
        answers = [await day.operator.get(path, headers=headers) for path in asked]
        assert [answer.status_code for answer in answers] == [404, 404]
        said[who] = [{name: value for name, value in answer.json().items() if name != "instance"} for answer in answers]
    due = day.at(60 + STANDARD.provisional_after_s / 60)
    expected = f"This order is not over yet: the first version of its settlement is due at {due}."
    assert [said[who][0]["detail"] for who in ("tso-north", "acme-ai")] == [expected] * 2
    unknown = said["acme-ai"][1]
    assert said["volt-colo"] == [unknown, unknown]


async def test_filters_and_csv_say_what_the_json_says(day: Day) -> None:
    settlement = (await settled(day))["settlement"]
    for params, count in (
        ({"state": "provisional"}, 1),
        ({"state": "SETTLED"}, 0),
        ({"request_id": settlement["request_id"]}, 1),
        ({"from": day.at(0), "to": day.at(60)}, 1),
        ({"from": day.at(600), "to": day.at(700)}, 0),
    ):
        answer = await day.operator.get("/v1/settlements", params=params)
        assert len(answer.json()["settlements"]) == count, params
    sheet = await day.operator.get("/v1/settlements", headers={"Accept": "text/csv"})
    (row,) = csv.DictReader(StringIO(sheet.text))
    assert (row["order_id"], row["total"], row["state"]) == (
        settlement["order_id"], settlement["total"], "PROVISIONAL",
    )  # fmt: skip


async def test_a_participant_disputes_what_it_reads_and_its_operator_rejects_it(day: Day) -> None:
    settlement = (await settled(day))["settlement"]
    path = f"/v1/orders/{settlement['order_id']}/settlement"
    async with day.site(api=day.stack.api_url) as grid:
        (found,) = [each async for each in grid.settlements()]
        receipt = await grid.dispute(found.settlement, "readings", "the meter was exchanged", claimed="900")
        assert await grid.dispute(found.settlement, "readings", "the meter was exchanged", claimed="900") == receipt
        with pytest.raises(gridsignal.Conflict):
            await grid.dispute(found.settlement, "readings", "another text")
    (dispute,) = (await day.operator.get(path)).json()["disputes"]
    assert (dispute["claimed"], dispute["answer"]) == ("900", None)
    disputed = {"state": "disputed"}
    (open_one,) = (await day.operator.get("/v1/settlements", params=disputed)).json()["settlements"]
    assert open_one["state"] == "PROVISIONAL", "what waits for an answer is found, whatever it is beside"

    body = {"reason_code": "readings", "reason": "the exchange is in the readings already"}
    answered = await day.operator.post(f"{path}/disputes/reject", json=body)

    assert answered.status_code == 200, answered.text
    assert answered.json()["disputes"][0]["answer"] == body["reason"]
    assert (await day.operator.get("/v1/settlements", params=disputed)).json()["settlements"] == []
    again = await day.operator.post(f"{path}/disputes/reject", json=body | {"reason_code": "other"})
    assert again.status_code == 409


async def test_a_settlement_is_a_signal_to_its_site(day: Day) -> None:
    token = day.stack.token("participant", "acme-ai")
    async with gridsignal.connect(day.stack.gateway_url, token=token, wait_s=SOON_S) as grid:
        signals = grid.subscribe("dispatch")
        settlement = await settled(day)
        async for signal in signals:
            if isinstance(signal, Settlement):
                break

    assert signal.settlement_id == settlement["settlement"]["settlement_id"]


async def test_who_begins_later_is_shown_its_settlements_and_a_rival_none(day: Day) -> None:
    order_id = (await settled(day))["settlement"]["order_id"]
    found = {}
    for who, site in (("acme-ai", "fra-1"), ("volt-colo", "muc-1")):
        url, token = f"{day.stack.gateway_url}/v1/stream", day.stack.token("participant", who)
        async with open_client(url, token) as client:
            await client.hello(site=site)
            await client.subscribe("dispatch", snapshot=True)
            await client.position()
            shown = [frame for frame in client.unread if frame.get("type") == "Settlement"]
        found[who] = [(frame["body"]["order_id"], "cursor" in frame) for frame in shown]
    assert found == {"acme-ai": [(order_id, False)], "volt-colo": []}


async def settled(day: Day) -> dict[str, Any]:
    """Its first version, an hour after the order's end."""
    order = await day.order()
    for minutes in range(0, 60, 15):
        await day.clock.move_to(day.starts_at + timedelta(minutes=minutes + 15))
        await day.meter(minutes, 24 * MW)
    await day.clock.move_to(day.starts_at + timedelta(minutes=60, seconds=STANDARD.provisional_after_s + 1))
    return await day.until(f"/v1/orders/{order.order_id}/settlement", lambda shown: "settlement" in shown)


async def test_the_commands_show_dispute_and_answer_it(day: Day, tmp_path: Path) -> None:
    order_id = (await settled(day))["settlement"]["order_id"]

    async def run(who: str, *words: str, gateway: bool = False) -> tuple[int, str]:
        urls = ["--api", day.stack.api_url, *(["--url", day.stack.gateway_url] if gateway else [])]
        role, _, organisation = who.partition(":")
        env = os.environ | {"GRIDSIGNAL_TOKEN": day.stack.token(role, organisation), "HOME": str(tmp_path)}
        command = [sys.executable, "-m", "gridsignal", "settle", *words, *urls]
        process = await asyncio.create_subprocess_exec(*command, env=env, stdout=PIPE, stderr=STDOUT)
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    said = ["dispute", order_id, "--code", "meter", "--text", "it was exchanged", "--claim", "900", "--site", "fra-1"]
    code, out = await run("participant:acme-ai", *said, gateway=True)
    assert (code, "version 1 disputed (meter)" in out) == (0, True), out
    code, out = await run(
        "operator:tso-north", "reject", order_id, "--code", "meter", "--reason", "it is in the readings"
    )
    assert (code, "rejected: it is in the readings" in out) == (0, True), out
    code, out = await run("participant:acme-ai", "show", order_id)
    assert (code, "PROVISIONAL" in out, "900 claimed" in out) == (0, True, True), out
    assert f"{day.starts_at.astimezone(ZoneInfo('Europe/Berlin')):%Y-%m-%d %H:%M%z}" in out, "market time"
    code, out = await run("operator:tso-north", "list", "--csv")
    assert (code, order_id in out) == (0, True), out
    code, out = await run("operator:tso-north", "reject", order_id, "--code", "other", "--reason", "no")
    assert (code, "--code" in out) == (1, True), out

    code, out = await run(
        "participant:acme-ai", "dispute", order_id, "--code", "price", "--site", "fra-1", gateway=True
    )
    assert code == 0, out
    await day.clock.move_to(day.starts_at + timedelta(minutes=60, seconds=STANDARD.final_after_s + 1))
    await day.until(f"/v1/orders/{order_id}/settlement", lambda shown: shown["settlement"]["version"] == 2)
    code, out = await run("participant:acme-ai", "show", order_id)
    assert (code, out.splitlines()[-2:]) == (0, ["version 1 disputed (price)", "  answered by version 2"]), out
