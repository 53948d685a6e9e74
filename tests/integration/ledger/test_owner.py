"""The running owner: what one request or one clock does wrong stops no other request and no other zone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from gridsignal_schemas.messages import Clearing, Record, TimerFired
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState
from gridsignal_services.bus import LogConfigurationError
from gridsignal_services.bus.around import AroundLog
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import append
from gridsignal_services.bus.sqlite import SoleCandidate, SqliteLog
from gridsignal_services.owning.owner import _IN_ONE_PASS, Owner
from gridsignal_services.replica import Replica
from tests.builders import a_dispatch_request, utc
from tests.integration.ledger.owner_stage import ALL, GATE, an_offer, running
from tests.patience import SOON_S


class Unwritable(Codec):
    """Can't write clearings of one request."""

    request_id = ""
    tries = 0
    tried: asyncio.Event

    def written(self, record: Record, *, is_valid: bool = False) -> tuple[bytes, Record]:
        if isinstance(record, Clearing) and record.request_id == self.request_id:
            self.tries += 1
            self.tried.set()
            raise ValueError("expected a record of at most 1000000 bytes, got 1049781")
        return super().written(record, is_valid=is_valid)


class Noting(Codec):
    """Notes in which pass of the event loop it encodes."""

    passes = 0
    at: list[int]

    def written(self, record: Record, *, is_valid: bool = False) -> tuple[bytes, Record]:
        self.at.append(self.passes)
        return super().written(record, is_valid=is_valid)

    async def count(self) -> None:
        while True:
            self.passes += 1
            await asyncio.sleep(0)


async def test_ten_thousand_and_one_offers_are_decided_and_the_next_start_is_fine(tmp_path: Path) -> None:
    names = [f"p-{number}-".ljust(62, "x") for number in range(1251)]
    async with running(tmp_path, utc("16:00")) as stage:
        await asyncio.gather(*(stage.a_site(who, "DE-LU") for who in names))
        await stage.submit(a_dispatch_request(), "operator:tso-north")
        for turn in range(8):
            offers = [
                an_offer(who, a_dispatch_request().request_id, "DE-LU", f"o-{turn}-{index}-".ljust(64, "x"))
                for index, who in enumerate(names)
            ]
            values = [(offer, stage.codec.encode(offer)) for offer in offers]
            await asyncio.gather(
                *(
                    append(stage.log, offer, value, principal=f"participant:{who}", source="/tests")
                    for who, (offer, value) in zip(names, values, strict=True)
                )
            )
        await stage.replica.reach_end()
        stage.clock.move_to(GATE)
        ledger = stage.replica.ledger_of("DE-LU")
        await stage.until(
            lambda: any(o.state is OfferState.STANDBY for o in ledger.offers.values()) and not [*ledger.next_owed()]
        )
        assert len(ledger.offers) == 10_008
    async with running(tmp_path, GATE) as again:
        assert again.state(a_dispatch_request().request_id) is RequestState.AWARDED


async def test_a_request_that_cannot_be_decided_stops_nobody_else_and_is_tried_once_a_start(tmp_path: Path) -> None:
    codec = Unwritable.from_lock()
    codec.request_id, codec.tried = "bad", asyncio.Event()
    async with running(tmp_path, utc("16:00"), codec) as stage:
        for zone in ("DE-LU", "FR"):
            await stage.a_site(f"acme-{zone}", zone)
        for request_id, zone in (("bad", "DE-LU"), ("good", "DE-LU"), ("other", "FR")):
            await stage.submit(a_dispatch_request(request_id=request_id, zone=zone), "operator:tso-north")
            await stage.submit(an_offer(f"acme-{zone}", request_id, zone, request_id), f"participant:acme-{zone}")
        stage.clock.move_to(GATE)
        await stage.until(
            lambda: (
                stage.state("good") is RequestState.PARTIALLY_AWARDED
                and stage.state("other", "FR") is RequestState.PARTIALLY_AWARDED
            )
        )
        assert (codec.tries, stage.state("bad")) == (1, RequestState.CLEARING)
    codec.tried.clear()
    async with running(tmp_path, GATE, codec) as again, asyncio.timeout(SOON_S):
        await codec.tried.wait()
        again.clock.move_to(utc("17:11"))
        await again.until(lambda: again.state("bad") is RequestState.UNMET)
        assert codec.tries == 2


async def test_a_clock_ahead_of_the_logs_fills_no_log(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00"), lag_s=5) as stage:
        await stage.submit(a_dispatch_request(), "operator:tso-north")

        def early() -> list[str]:
            return [o.code for record, o in stage.seen if isinstance(record, TimerFired) and not o.accepted]

        stage.clock.move_to(GATE)
        await stage.until(lambda: bool(early()))
        await stage.a_site("acme", "DE-LU")  # the owner was told before
        for tenths in range(51):
            stage.clock.move_to(GATE + timedelta(seconds=tenths / 10))
        await stage.until(lambda: stage.state(a_dispatch_request().request_id) is not RequestState.OPEN)
        assert early() == ["TOO_EARLY"]


class Headless(AroundLog):
    """A log that has lost the first records of its ledger."""

    async def start_positions(self, stream: str) -> dict[int, int]:
        return {partition: offset + 3 for partition, offset in (await super().start_positions(stream)).items()}


async def test_a_ledger_that_lost_its_beginning_is_refused(tmp_path: Path) -> None:
    log = await SqliteLog.open(tmp_path)
    replica = Replica(Headless(log), Codec.from_lock(), source="/tests")
    with pytest.raises(LogConfigurationError, match="from its first record, got partition 0 from offset 3"):
        await replica.run()
    await log.aclose()


async def test_an_owner_with_much_to_write_leaves_the_loop_to_others_and_keeps_the_order(tmp_path: Path) -> None:
    codec, count = Noting.from_lock(), 30
    codec.at = []
    async with running(tmp_path, utc("16:00"), codec) as stage, asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(codec.count())
        batch = [a_dispatch_request(request_id=f"request-{number}") for number in range(count)]
        owner = Owner(stage.replica, stage.clock, SoleCandidate(ALL))
        await owner._append(stage.replica.ledger_of("DE-LU"), batch)
        counting.cancel()
    assert len(codec.at) == count
    assert max(codec.at.count(number) for number in codec.at) <= _IN_ONE_PASS
    assert [record for record, _ in stage.seen] == batch
