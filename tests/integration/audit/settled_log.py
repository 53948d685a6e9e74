"""A log on which an order was settled by a baseline from history and corrected since, all of it under a signed head."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from gridsignal_schemas.values import MW
from tests.builders import utc
from tests.integration.ledger.owner_stage import running
from tests.integration.ledger.test_baselines_fixed import TWO_DAYS, WINDOW, baselines, by, metered, two_days_of_history
from tests.integration.ledger.test_heads_are_written import heads_of
from tests.integration.ledger.test_settling import END, HOUR, an_order_that_is_over, say, settlements

ZONE = "DE-LU"
PERIOD = ("--from", "2024-05-12T00:00Z", "--to", "2024-05-13T00:00Z")
"""The order's day; the history of its baseline lies before it, and its settlement's last head after it."""


async def a_settled_log(directory: Path) -> str:
    """Writes it; the public key of who signed its heads."""
    heads = heads_of(directory.with_name("key"), every_s=0.01, after_clearing_s=0.01)
    async with running(directory, utc("16:00"), heads=heads) as stage:
        await two_days_of_history(stage)
        await an_order_that_is_over(stage, **by(TWO_DAYS))
        await baselines(stage)
        for quarter in range(3):
            await say(stage, quarter)
        stage.clock.move_to(END + 2 * HOUR)
        await settlements(stage, 1)
        await metered(stage, *WINDOW, 33 * MW, seq=90)
        await settlements(stage, 2)
        tree = stage.replica.ledger_of(ZONE).tree
        stage.clock.move_to(END + timedelta(days=1))
        await say(stage, 400)
        await stage.until(lambda: not tree.has_news)
    return heads.signer.public_key
