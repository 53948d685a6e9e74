"""Areas at the REST door: for the operator who runs them, and for nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from gridsignal_services.embedded import Stack
from gridsignal_services.registry import Registry, example_registry_text
from tests.integration.cli.conftest import Ran, ran
from tests.integration.dispatch.conftest import Caller
from tests.patience import SOON_S

EAST = """
[areas.east]
operator = "tso-north"
zones = ["DE-LU", "FR"]
max_change_w = 100_000_000
window_s = 300
"""


async def listed(operator: httpx2.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await operator.get("/v1/areas")).json()
    return found


async def commanded(stack: Stack, words: str) -> Ran:
    """A command as the operator types it."""
    token = stack.token("operator", "tso-north")
    return await asyncio.to_thread(ran, words.split(), GRIDSIGNAL_API=stack.api_url, GRIDSIGNAL_TOKEN=token)


async def test_an_area_of_the_file_is_shown_to_its_operator_alone(
    stack: Stack, caller: Caller, operator: httpx2.AsyncClient
) -> None:
    assert await listed(operator) == []
    stack.dispatch.entitle(Registry.parse(example_registry_text() + EAST))
    async with asyncio.timeout(SOON_S):
        while len(await listed(operator)) < 2:
            await stack.replica.moved()
    areas = await listed(operator)
    assert [(area["zone"], area["share_ppm"], area["max_change_w"]) for area in areas] == [
        ("DE-LU", 700_000, 70_000_000),
        ("FR", 300_000, 30_000_000),
    ]
    curve = (await operator.get("/v1/areas/east/curve")).json()
    assert [zone["limits"] for zone in curve["zones"]] == areas
    assert [len(zone["steps"]) for zone in curve["zones"]] == [1, 1]

    for words in ("area list", "area list --json", "area list --csv", "area show east", "area show east --json"):
        shown = await commanded(stack, words)
        assert (shown.code, "DE-LU" in shown.out) == (0, True), shown.err
    nowhere = await commanded(stack, "area show west")
    assert (nowhere.code, nowhere.err) == (1, "gridsignal: No such area, or you may not see it.\n")

    other, site = caller("operator", "supplier-one"), caller("participant", "acme-ai")
    assert (await listed(other), (await other.get("/v1/areas/east/curve")).status_code) == ([], 404)
    assert [(await site.get(path)).status_code for path in ("/v1/areas", "/v1/areas/east/curve")] == [403, 403]
    assert (await operator.get("/v1/areas/west/curve")).status_code == 404
