"""What is declared for a site: read by its participant, and by an operator around its own orders."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gridsignal import MW
from gridsignal_services.embedded import Stack
from tests.integration.dispatch.conftest import Caller
from tests.integration.dispatch.test_asking import ask, offer

HOUR = timedelta(hours=1)


def window(since: datetime, until: datetime) -> dict[str, str]:
    return {"site": "fra-1", "from": since.isoformat(), "to": until.isoformat()}


async def test_a_participant_reads_what_it_has_declared(stack: Stack, body: dict[str, Any], caller: Caller) -> None:
    starts_at = datetime.fromisoformat(body["starts_at"])
    answer = await caller("participant", "acme-ai").get("/v1/baselines", params=window(starts_at, starts_at + HOUR))
    (stretch,) = answer.json()["stretches"]
    assert (stretch["starts_at"], stretch["power_w"]) == (body["starts_at"], 36 * MW)
    assert datetime.fromisoformat(stretch["ends_at"]) == starts_at + HOUR
    assert datetime.fromisoformat(stretch["declared_at"]) < starts_at


async def test_an_operator_reads_it_from_an_hour_before_its_order_to_an_hour_after(
    stack: Stack, operator: httpx2.AsyncClient, body: dict[str, Any], tmp_path: Path
) -> None:
    starts_at, ends_at = (datetime.fromisoformat(body[name]) for name in ("starts_at", "ends_at"))
    wide = window(starts_at - 24 * HOUR, starts_at + 24 * HOUR)
    assert (await operator.get("/v1/baselines", params=wide)).status_code == 404
    asked = (await ask(operator, body)).json()["request"]["request_id"]
    await offer(stack, tmp_path, "fra-1", "acme-ai", 12 * MW, "80")
    await operator.post(f"/v1/requests/{asked}/clear", json={})
    seen = (await operator.get("/v1/baselines", params=wide)).json()["stretches"]
    ends = [(datetime.fromisoformat(one["starts_at"]), datetime.fromisoformat(one["ends_at"])) for one in seen]
    assert (ends[0][0], ends[-1][1]) == (starts_at - HOUR, ends_at + HOUR)


async def test_who_takes_over_a_site_does_not_read_what_was_said_of_it_before(
    stack: Stack, body: dict[str, Any], caller: Caller
) -> None:
    starts_at = datetime.fromisoformat(body["starts_at"])
    asked = window(starts_at, starts_at + HOUR)
    stack.registry.sites["fra-1"] = stack.registry.sites["fra-1"].model_copy(update={"participant": "volt-colo"})
    answer = await caller("participant", "volt-colo").get("/v1/baselines", params=asked)
    assert (answer.status_code, answer.json()["stretches"]) == (200, [])


async def test_to_others_it_is_a_site_that_is_not_there(body: dict[str, Any], caller: Caller) -> None:
    starts_at = datetime.fromisoformat(body["starts_at"])
    there, nowhere = window(starts_at, starts_at + HOUR), window(starts_at, starts_at + HOUR) | {"site": "no-1"}
    for stranger in (caller("participant", "volt-colo"), caller("operator", "supplier-one")):
        answers = [await stranger.get("/v1/baselines", params=asked) for asked in (there, nowhere)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": "2030-01-09T00:00:00Z"}, "PERIOD"),
        ({"to": "2029-01-01T00:00:00Z"}, "PERIOD"),
        ({"from": "yesterday"}, "INVALID"),
        ({"zone": "DE-LU"}, "UNKNOWN_PARAMETER"),
    ],
)
async def test_a_question_that_is_none_is_told_what_is_wrong(
    changes: dict[str, str], code: str, caller: Caller
) -> None:
    asked = {"site": "fra-1", "from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z"} | changes
    answer = await caller("participant", "acme-ai").get("/v1/baselines", params=asked)
    assert answer.status_code == 422
    assert code in {fault["code"] for fault in answer.json()["errors"]} or code == "INVALID"
