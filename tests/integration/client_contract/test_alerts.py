"""What a site says of alerts."""

from __future__ import annotations

import asyncio

import pytest

import gridsignal
from gridsignal import GridAlert
from tests.builders import a_grid_alert
from tests.integration.client_contract.hearing import hear
from tests.integration.client_stage import Stage, connected
from tests.patience import SOON_S


async def test_a_site_acknowledges_each_revision_of_an_alert_and_the_log_has_it(stage: Stage) -> None:
    async with connected(stage) as grid, asyncio.timeout(SOON_S):
        alerts = grid.subscribe("alerts")
        await stage.publish(a_grid_alert())
        first = await hear(alerts, GridAlert, revision=1)
        await stage.publish(a_grid_alert(revision=2, kind="DISTURBANCE", action="HOLD"))
        second = await hear(alerts, GridAlert, revision=2)
        assert second.action == "HOLD"
        receipts = [await grid.acknowledge(first, "WILL_ACT"), await grid.acknowledge(second, "APPLIED")]
        assert receipts[0].sha256 != receipts[1].sha256
        await alerts.aclose()
        await grid.settled()  # the SDK's own RECEIVED has been answered, too


async def test_an_alert_of_another_zone_is_not_the_sites_to_answer(stage: Stage) -> None:
    async with connected(stage) as grid, asyncio.timeout(SOON_S):
        with pytest.raises(gridsignal.Invalid) as told:
            await grid.acknowledge(a_grid_alert(zone="FR"), "APPLIED")
        assert told.value.details[0].pointer == "/zone"
