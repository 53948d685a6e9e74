"""Who has heard of an alert: received, applied and verified, to whoever issued it, and to each site of its own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

import gridsignal
from gridsignal import MW, GridAlert
from gridsignal_services.bus.publish import publish
from gridsignal_services.embedded import Stack
from gridsignal_services.registry import FailsafeEntry, example_registry
from tests.builders import a_grid_alert
from tests.integration.dispatch.conftest import Caller, Day
from tests.patience import SOON_S


async def issue(stack: Stack, **changes: Any) -> GridAlert:
    """An alert to shed that tso-north issues now."""
    now = datetime.now(UTC)
    said = {"kind": "GRID_EMERGENCY", "action": "SHED", "level": 3, "issued_at": now, "starts_at": now}
    alert = a_grid_alert(**said | changes)
    await publish(stack.log, stack.codec, alert, principal=f"operator:{alert.provider}", source="tests")
    return alert


async def in_force(who: httpx2.AsyncClient) -> list[dict[str, Any]]:
    return list((await who.get("/v1/alerts", params={"in_force": True})).json().get("alerts", []))


async def shown(who: httpx2.AsyncClient, alert_id: str, **wanted: tuple[str, str]) -> dict[str, Any]:
    """What the door tells of an alert, once a site has these states: `fra_1=("received", ...)`."""
    async with asyncio.timeout(SOON_S):
        while True:
            answer = await who.get(f"/v1/alerts/{alert_id}")
            if answer.status_code == 200:
                told: dict[str, Any] = answer.json()
                sites = {site["site"].replace("-", "_"): site for site in told["sites"]}
                if all(_has(sites[site], state) for site, states in wanted.items() for state in states):
                    return told


def _has(site: dict[str, Any], state: str) -> bool:
    found = site[state]
    return bool(found["at"] if isinstance(found, dict) else found)


def site_of(told: dict[str, Any], name: str) -> dict[str, Any]:
    return next(site for site in told["sites"] if site["site"] == name)


async def acknowledge(stack: Stack, site: str, participant: str, directory: Path, *states: Any) -> None:
    """A site's program gets the alert, which acknowledges it, and says these."""
    token = stack.token("participant", participant)
    box = directory / f"{site}.outbox"
    async with (
        asyncio.timeout(SOON_S),
        gridsignal.connect(stack.gateway_url, token=token, site=site, outbox=box) as grid,
        grid.subscribe("alerts") as alerts,
    ):
        async for alert in alerts:
            assert isinstance(alert, GridAlert)
            for state in states:
                await grid.acknowledge(alert, state, reason_code="test")
            break
        await alerts.aclose()
        await grid.settled()


async def test_received_applied_and_verified_are_three_states_of_each_site(day: Day) -> None:
    await day.clock.move_to(day.starts_at)
    await day.meter(-15, 36 * MW)
    times = {"issued_at": day.starts_at, "starts_at": day.starts_at}
    await issue(day.stack, acknowledge_within_s=60, apply_within_s=60, **times)
    told = await shown(day.operator, "alert-1")
    assert [site["site"] for site in told["sites"]] == ["ber-1", "fra-1", "muc-1"]
    assert told["is_over"] is False
    nobody = site_of(told, "ber-1")
    assert nobody["received"] == nobody["applied"] == {"at": None, "is_late": False}

    await acknowledge(day.stack, "fra-1", "acme-ai", day.directory, "WILL_ACT")
    told = await shown(day.operator, "alert-1", fra_1=("received", "will_act_at"))
    assert site_of(told, "fra-1")["applied"]["at"] is None
    assert site_of(told, "fra-1")["received"]["is_late"] is False

    await day.clock.move_to(day.starts_at + timedelta(minutes=31))
    await day.meter(0, 12 * MW)  # it began before the log had the alert: it proves nothing
    await day.meter(15, 24 * MW)
    told = await shown(day.operator, "alert-1", fra_1=("verified",))
    site = site_of(told, "fra-1")
    assert site["verified"] == {"at": day.at(30), "power_w": 12 * MW}
    assert site["applied"] == {"at": None, "is_late": True}  # the meters show it, the site has not said so
    assert site_of(told, "ber-1")["received"]["is_late"] is True
    await acknowledge(day.stack, "fra-1", "acme-ai", day.directory, "APPLIED")
    told = await shown(day.operator, "alert-1", fra_1=("applied",))
    assert site_of(told, "fra-1")["applied"]["is_late"] is True


async def test_nobody_sees_another_participants_words_or_another_operators_table(
    stack: Stack, operator: httpx2.AsyncClient, caller: Caller, tmp_path: Path
) -> None:
    await issue(stack)
    await acknowledge(stack, "fra-1", "acme-ai", tmp_path, "CANNOT_ACT")
    await shown(operator, "alert-1", fra_1=("cannot_act_at",))
    own = (await caller("participant", "acme-ai").get("/v1/alerts/alert-1")).json()
    assert [site["site"] for site in own["sites"]] == ["fra-1"]
    assert own["sites"][0]["cannot_act_at"] is not None
    rival = (await caller("participant", "hyper-infer").get("/v1/alerts/alert-1")).json()
    assert [(site["site"], site["received"]["at"]) for site in rival["sites"]] == [("ber-1", None)]
    other = (await caller("operator", "supplier-one").get("/v1/alerts/alert-1")).json()
    assert other["sites"] == []
    await issue(stack, alert_id="french", zone="FR")
    await shown(operator, "french")
    stranger = caller("participant", "volt-colo")
    unseen, unknown = [await stranger.get(f"/v1/alerts/{name}") for name in ("french", "no-such-alert")]
    assert (unseen.status_code, unseen.content) == (404, unknown.content)
    assert "french" not in (await stranger.get("/v1/alerts")).text


async def test_alerts_are_listed_by_what_is_asked_for_and_an_id_of_two_has_to_be_told_apart(
    stack: Stack, operator: httpx2.AsyncClient
) -> None:
    await issue(stack)
    await issue(stack, alert_id="drill", is_drill=True)
    await issue(stack, alert_id="newer", supersedes="alert-1")
    await issue(stack, provider="supplier-one")
    await shown(operator, "newer")
    async with asyncio.timeout(SOON_S):
        while (
            len(listed := (await operator.get("/v1/alerts", params={"in_force": True})).json().get("alerts", [])) != 3
        ):
            pass
    assert [(each["alert"]["alert_id"], each["alert"]["provider"]) for each in listed] == [
        ("drill", "tso-north"),
        ("newer", "tso-north"),
        ("alert-1", "supplier-one"),
    ]
    over = (await operator.get("/v1/alerts", params={"in_force": False})).json()["alerts"]
    assert [each["superseded_by"] for each in over] == ["newer"]
    ambiguous = await operator.get("/v1/alerts/alert-1")
    assert (ambiguous.status_code, ambiguous.json()["errors"][0]["pointer"]) == (422, "?provider")
    own = await operator.get("/v1/alerts/alert-1", params={"provider": "tso-north", "revision": 1})
    assert own.json()["alert"]["provider"] == "tso-north"
    sheet = await operator.get("/v1/alerts", headers={"Accept": "text/csv"})
    assert sheet.text.splitlines()[0].startswith("alert_id,")


async def test_the_operator_sees_which_sites_are_silent_and_nothing_of_those_without_a_profile(day: Day) -> None:
    profile = FailsafeEntry(heartbeat_s=60, limit_w=30 * MW, minimum_s=3600)
    registry = example_registry()
    registry.sites["fra-1"] = registry.sites["fra-1"].model_copy(update={"failsafe": profile})
    day.stack.dispatch.entitle(registry)

    def is_heard(told: dict[str, Any]) -> bool:
        return [each["contact"] for each in told["contacts"]] == ["HEARD"]

    async with day.site() as grid:
        await grid.declare_baseline(day.starts_at, [36 * MW])
        told = await day.until("/v1/contacts", is_heard)
    assert [each["site"] for each in told["contacts"]] == ["fra-1"]
    assert told["contacts"][0]["is_silent"] is False
    await day.clock.move_to(day.clock.now() + timedelta(minutes=2))
    (silent,) = (await day.operator.get("/v1/contacts")).json()["contacts"]
    assert (silent["contact"], silent["is_silent"]) == ("FAILSAFE", True)
    assert silent["failsafe"]["limit_w"] == 30 * MW
