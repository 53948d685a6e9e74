"""What sites say of alerts that nobody knows (any more) holds up nobody: the log is asked once for many words."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gridsignal_schemas.messages import AckState, Record
from gridsignal_services.alerting.reader import AlertsReader
from gridsignal_services.bus.around import AroundLog
from gridsignal_services.bus.publish import publish
from gridsignal_services.bus.sqlite import SqliteLog
from tests.builders import PARTICIPANT, a_grid_alert, an_alert_ack
from tests.integration.ledger.owner_stage import ALL
from tests.patience import SOON_S
from tests.unit.ledger.zone import CODEC

UNKNOWN = 300
NAME = ("DE-LU", "tso-north", "alert-1")


class Asked(AroundLog):
    """Counts how often it is asked where its alerts end."""

    times = 0

    async def end_positions(self, stream: str) -> dict[int, int]:
        self.times += stream == "alerts"
        return await super().end_positions(stream)


async def test_words_of_alerts_that_are_unknown_cost_a_round_trip_a_batch_and_no_word_is_lost(tmp_path: Path) -> None:
    log = Asked(await SqliteLog.open(tmp_path))
    heard = list[str]()
    reader = AlertsReader(log, CODEC, lambda: None, lambda ack, _: heard.append(ack.alert_id))

    async def say(record: Record) -> None:
        await publish(log, CODEC, record, principal=f"participant:{PARTICIPANT}", source="/tests")

    await say(a_grid_alert())
    for number in range(UNKNOWN):
        await say(an_alert_ack(alert_id=f"gone-{number}"))
    await say(an_alert_ack(state=AckState.WILL_ACT))
    running = asyncio.create_task(reader.run())
    try:
        async with asyncio.timeout(SOON_S):
            await reader.caught_up()
            await say(a_grid_alert(revision=2))
            await say(an_alert_ack(revision=2, state=AckState.APPLIED))
            while not await reader.at_rest():
                await reader.words.reach_end(ALL, SOON_S)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await log.aclose()
    known = reader.table.of(NAME)
    assert known is not None
    said = {number: list(revision.of("fra-1")) for number, revision in known.revisions.items()}
    assert said == {1: [AckState.WILL_ACT], 2: [AckState.APPLIED]}
    assert len(heard) == UNKNOWN + 2
    assert log.times < UNKNOWN / 10
