"""A clearing is made beside the loop: everything else goes on, and nobody can put it off."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from gridsignal_schemas.messages import Clearing, FlexOffer
from gridsignal_schemas.rules.lifecycle import RequestState
from gridsignal_services.bus import Appended, Log
from gridsignal_services.bus.around import AroundLog
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import append
from gridsignal_services.owning.owner import Owner
from tests.builders import a_dispatch_request, an_offer_withdrawal, utc
from tests.integration.ledger.owner_stage import GATE, an_offer, running


class Busy:
    """The thread that makes clearings is taken by a long one, until it is let go."""

    def __init__(self, owner: Owner) -> None:
        self._go = threading.Event()
        self._long = asyncio.wrap_future(owner._clearing_thread.submit(self._go.wait))

    async def over(self) -> None:
        self._go.set()
        await self._long


class Overtaking(AroundLog):
    """Another log, on which a clearing comes just after these participants have withdrawn what it awards them first."""

    def __init__(self, log: Log, codec: Codec, *whose: str) -> None:
        super().__init__(log)
        self._codec, self._whose, self.overtaken = codec, whose, list[str]()
        self._sites: dict[str, str] = {}

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        record = self._codec.decode(value)
        if isinstance(record, FlexOffer):
            self._sites[record.participant] = record.site
        awards = record.awards if isinstance(record, Clearing) else []
        for award in [award for award in awards if award.participant in self._whose][:1]:
            self.overtaken.append(award.offer_id)
            fields = {
                "offer_id": award.offer_id,
                "participant": award.participant,
                "site": self._sites[award.participant],
            }
            withdrawn = an_offer_withdrawal(zone=record.zone, **fields)
            principal = f"participant:{award.participant}"
            await append(self.log, withdrawn, self._codec.encode(withdrawn), principal=principal, source="/tests")
        return await super().append(stream, key, value, headers, partition=partition)


async def test_timers_and_announcements_of_others_go_on_while_a_clearing_is_made(tmp_path: Path) -> None:
    async with running(tmp_path, utc("16:00")) as stage:
        await stage.a_site("acme", "DE-LU")
        for request_id, gate in (("slow", GATE), ("other", utc("17:05"))):
            asked = a_dispatch_request(request_id=request_id, gate_closure_at=gate)
            await stage.submit(asked, "operator:tso-north")
            await stage.submit(an_offer("acme", request_id, "DE-LU", request_id), "participant:acme")
        busy = Busy(stage.owner)
        try:
            stage.clock.move_to(GATE)
            await stage.until(lambda: stage.state("slow") is RequestState.CLEARING)
            withdrawn = an_offer_withdrawal(offer_id="other", participant="acme", site="acme-1")
            await stage.submit(withdrawn, "participant:acme")
            stage.clock.move_to(utc("17:05"))
            await stage.until(
                lambda: (
                    stage.state("other") is RequestState.CLEARING
                    and not [*stage.replica.ledger_of("DE-LU").next_owed()]
                )
            )
            assert stage.state("slow") is RequestState.CLEARING
        finally:
            await busy.over()
        await stage.until(lambda: stage.state("slow") is RequestState.PARTIALLY_AWARDED)
        await stage.until(lambda: stage.state("other") is RequestState.UNMET)


HOSTILE = ("acme", "bolt")


@pytest.mark.parametrize("honest", [("core",), ()])
async def test_nobody_puts_a_clearing_off_for_ever_by_withdrawing_what_it_awards(
    tmp_path: Path, honest: tuple[str, ...]
) -> None:
    logs: list[Overtaking] = []

    def around(log: Log, codec: Codec) -> Log:
        logs.append(Overtaking(log, codec, *HOSTILE))
        return logs[0]

    async with running(tmp_path, utc("16:00"), around=around) as stage:
        request = a_dispatch_request()
        for who in (*HOSTILE, *honest):
            await stage.a_site(who, "DE-LU")
        await stage.submit(request, "operator:tso-north")
        for who in [*(who for who in HOSTILE for _ in range(8)), *honest]:
            offer = an_offer(who, request.request_id, "DE-LU", f"of-{who}-{len(stage.seen)}")
            await stage.submit(offer, f"participant:{who}")
        stage.clock.move_to(GATE)
        over = RequestState.PARTIALLY_AWARDED if honest else RequestState.UNMET
        await stage.until(lambda: stage.state(request.request_id) is over)
        clearings = [(record, outcome) for record, outcome in stage.seen if isinstance(record, Clearing)]
        # acme as often as anybody may, then bolt, who was not known to do so
        assert [outcome.accepted for _, outcome in clearings] == [*[False] * 5, True]
        assert [award.participant for award in clearings[-1][0].awards] == [*honest]
        assert len(logs[0].overtaken) == 5


async def test_who_overtakes_the_clearings_of_some_requests_holds_up_no_other(tmp_path: Path) -> None:
    """Each of them is made once before the other's, however often they are made anew after it."""
    attacked = [f"r{number}" for number in range(5)]
    async with running(tmp_path, utc("16:00"), around=lambda log, codec: Overtaking(log, codec, "evil")) as stage:
        for who in ("evil", "acme"):
            await stage.a_site(who, "DE-LU")
        for request_id in attacked:
            await stage.submit(a_dispatch_request(request_id=request_id), "operator:tso-north")
            for number in range(5):
                await stage.submit(an_offer("evil", request_id, "DE-LU", f"{request_id}-{number}"), "participant:evil")
        await stage.submit(a_dispatch_request(request_id="zenith"), "operator:tso-north")
        await stage.submit(an_offer("acme", "zenith", "DE-LU", "of-acme"), "participant:acme")
        stage.clock.move_to(GATE)
        await stage.until(lambda: stage.state("zenith") is RequestState.PARTIALLY_AWARDED)
        made = [record.request_id for record, _ in stage.seen if isinstance(record, Clearing)]
        assert made[: made.index("zenith")] == attacked
        for request_id in attacked:
            await stage.until(lambda name=request_id: stage.state(name) is RequestState.UNMET)  # type: ignore[misc]  # bound early
        made = [record.request_id for record, _ in stage.seen if isinstance(record, Clearing)]
        assert [made.count(request_id) for request_id in attacked] == [5] * 5
