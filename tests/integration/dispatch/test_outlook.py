"""What a site's baseline for a request would be made of: told before it offers, and what holds instead."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from gridsignal import MW
from gridsignal.__main__ import main
from gridsignal_schemas.messages import MeterReading
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import publish
from gridsignal_services.embedded import Stack
from gridsignal_services.registry import ProductEntry
from gridsignal_services.settlement.pinned import DECLARED
from tests.builders import a_meter_reading
from tests.integration.dispatch.conftest import Caller
from tests.integration.dispatch.test_asking import ask
from tests.patience import SOON_S

DAY = timedelta(days=1)
LOCAL = ZoneInfo("Europe/Berlin")
"""A day before is the same hours of its clock, whatever its offset from UTC was."""
METHOD = "high-5-of-10"


async def asked(stack: Stack, operator: httpx2.AsyncClient, body: dict[str, Any], method: str = METHOD) -> str:
    stack.registry.products["evening"] = ProductEntry(baseline=f"{method} 1")
    answer = await ask(operator, body | {"product": "evening"})
    request_id = answer.json()["request"]["request_id"]
    assert isinstance(request_id, str)
    return request_id


async def test_a_site_without_a_history_is_told_what_is_missing_and_what_holds(
    stack: Stack, operator: httpx2.AsyncClient, caller: Caller, body: dict[str, Any]
) -> None:
    request_id = await asked(stack, operator, body)
    told = (await caller("participant", "acme-ai").get(f"/v1/requests/{request_id}/baseline?site=fra-1")).json()
    assert (told["counts"], told["is_fixed"], told["method"]["name"]) == ("DECLARED", False, METHOD)
    assert told["reason"].startswith(f"{METHOD} needs 10 ")
    assert told["reason"].endswith("What the site declared holds in its place.")
    assert told["days"] == []
    assert {each["why"].partition(" of ")[0] for each in told["left_out"]} == {"the readings"}


async def test_with_enough_of_it_the_days_are_named(
    stack: Stack, operator: httpx2.AsyncClient, caller: Caller, body: dict[str, Any]
) -> None:
    request_id = await asked(stack, operator, body)
    starts_at, ends_at = (datetime.fromisoformat(body[name]).astimezone(LOCAL) for name in ("starts_at", "ends_at"))
    for back in range(1, 60):
        await metered(stack, starts_at - back * DAY, ends_at - back * DAY, seq=back)
    acme, told = caller("participant", "acme-ai"), dict[str, Any]()
    async with asyncio.timeout(SOON_S):
        while told.get("counts") != "HISTORY":
            told = (await acme.get(f"/v1/requests/{request_id}/baseline?site=fra-1")).json()
    assert (told["reason"], len(told["days"]), told["left_out"]) == ("", 5, [])


async def test_a_request_that_goes_by_declarations_has_nothing_to_tell(
    stack: Stack, operator: httpx2.AsyncClient, caller: Caller, body: dict[str, Any]
) -> None:
    request_id = await asked(stack, operator, body, DECLARED.name)
    told = (await caller("participant", "acme-ai").get(f"/v1/requests/{request_id}/baseline?site=fra-1")).json()
    assert (told["counts"], told["reason"], told["method"]["name"]) == ("DECLARED", "", "declared")


async def test_nobody_is_told_of_another_s_site(
    stack: Stack, operator: httpx2.AsyncClient, caller: Caller, body: dict[str, Any]
) -> None:
    path = f"/v1/requests/{await asked(stack, operator, body)}/baseline"
    for stranger, site in ((caller("participant", "volt-colo"), "fra-1"), (operator, "fra-1"), (operator, "none-1")):
        assert (await stranger.get(f"{path}?site={site}")).status_code == 404
    assert (await caller("participant", "acme-ai").get(path)).status_code == 422


async def test_who_offers_by_hand_is_warned_before_the_offer_is_made(
    stack: Stack, operator: httpx2.AsyncClient, body: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id = await asked(stack, operator, body)
    token = tmp_path / "acme.token"
    token.write_text(stack.token("participant", "acme-ai"))
    doors = ["--url", stack.gateway_url, "--api", stack.api_url, "--token-file", str(token)]
    words = ["offer", "create", request_id, "--site", "fra-1", "--power", "12MW", "--price", "90", *doors]

    assert await asyncio.to_thread(main, words) == 0

    warned = capsys.readouterr().err
    assert f"warning: {METHOD} needs 10 " in warned
    assert "What the site declared holds in its place." in warned


async def metered(stack: Stack, starts_at: datetime, ends_at: datetime, seq: int) -> None:
    starts_at, ends_at = starts_at.astimezone(UTC), ends_at.astimezone(UTC)
    reading: MeterReading = a_meter_reading(starts_at=starts_at, ends_at=ends_at, import_w=36 * MW, seq=seq)
    principal = f"participant:{reading.participant}"
    await publish(stack.log, Codec.from_lock(), reading, principal=principal, source="/tests")
