"""The agent answers as its mode says, accepts what is possible, and reports what its meter shows."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import gridsignal
from gridsignal.agent.kept import Kept
from gridsignal_schemas.messages import OrderResponse
from gridsignal_schemas.values import MW, rfc3339
from tests.integration.agent_site import BASELINE_W, CAN_W, site
from tests.patience import SOON_S


async def test_no_more_is_offered_and_accepted_than_the_actuator_can_hold(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        order = await here.ordered(20 * MW)
        assert order.power_w == CAN_W
        await here.answers(order, "ACCEPTED")
        here.clock.move_to(order.starts_at)
        await here.answers(order, "STARTED")
        assert here.cluster_w() == BASELINE_W - CAN_W


@pytest.mark.parametrize(("answer", "becomes"), [("accept", "ACCEPTED"), ("refuse", "REFUSED"), (None, "REFUSED")])
async def test_a_person_confirms_an_order_and_silence_refuses(tmp_path: Path, answer: Any, becomes: str) -> None:
    async with site(tmp_path, "confirm") as here:
        order = await here.ordered(4 * MW)
        await here.says("Answer by")
        if answer is not None:
            by_hand = Kept(tmp_path / "state" / "agent.db")
            assert [order_id for order_id, _, _ in by_hand.questions()] == [order.order_id]
            assert by_hand.answer(order.order_id, answer, "person:eve")
            assert not by_hand.answer(order.order_id, answer, "person:eve"), "it was answered before"
            by_hand.close()
        here.clock.move_to(order.respond_by - timedelta(seconds=4))
        response = await here.answers(order, becomes)
        assert (response.actor == "person:eve") == (answer is not None)
        assert response.reason_code == {"accept": "", "refuse": "REFUSED_BY_PERSON", None: "NO_CONFIRMATION"}[answer]


@pytest.mark.parametrize(("answer", "watts"), [("ACCEPTED", 3 * MW), ("ACCEPTED", None), ("REFUSED", None)])
async def test_what_another_program_of_the_site_has_answered_is_asked_no_more_and_followed(
    tmp_path: Path, answer: str, watts: int | None
) -> None:
    async with site(tmp_path, "confirm") as here:
        order = await here.ordered(4 * MW)
        await here.says("Answer by")
        options: Any = {"site": "fra-1", "clock": here.clock, "outbox": ":memory:", "wait_s": SOON_S}
        async with gridsignal.connect(here.fake.url, token=here.fake.token, **options) as other:
            await (other.accept(order, watts) if answer == "ACCEPTED" else other.refuse(order))
        await here.says("accepted elsewhere" if answer == "ACCEPTED" else "it is over, and nobody is asked any more")
        with closing(Kept(tmp_path / "state" / "agent.db")) as by_hand:
            assert by_hand.questions() == []
        here.clock.move_to(order.respond_by)
        here.clock.move_to(order.starts_at)
        if answer == "ACCEPTED":
            await here.answers(order, "STARTED")
        said = [each for each in here.fake.world.written if isinstance(each, OrderResponse) and each.response == answer]
        assert len(said) == 1, "the agent has said nothing else"
        assert here.cluster_w() == BASELINE_W - (0 if answer == "REFUSED" else watts or 4 * MW)


async def test_what_the_meter_does_not_show_is_reported_with_the_watts_that_remain(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        order = await here.ordered(8 * MW)
        await here.answers(order, "ACCEPTED")
        here.clock.move_to(order.starts_at)
        await here.answers(order, "STARTED")
        with (tmp_path / "power.csv").open("a", encoding="utf-8") as meter:
            for second in range(0, 180, 30):
                meter.write(f"{rfc3339(order.starts_at + timedelta(seconds=second))},{37 * MW}\n")
        here.clock.move_to(order.starts_at + timedelta(seconds=150))
        response = await here.answers(order, "UNAVAILABLE")
        assert (response.available_w, response.reason_code) == (3 * MW, "METER_SHOWS_LESS")


async def test_what_the_meter_shows_is_verified_and_a_cancelled_request_gives_all_back(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        order = await here.ordered(8 * MW)
        await here.answers(order, "ACCEPTED")
        here.clock.move_to(order.starts_at)
        await here.answers(order, "STARTED")
        with (tmp_path / "power.csv").open("a", encoding="utf-8") as meter:
            for second in range(0, 120, 30):
                meter.write(f"{rfc3339(order.starts_at + timedelta(seconds=second))},{32.1 * MW}\n")
        here.clock.move_to(order.starts_at + timedelta(seconds=90))
        await here.answers(order, "SUSTAINING")
        here.fake.cancel(next(each.request for each in here.fake.world.ledger.asked.values()))
        await here.says("train as usual")
        assert here.cluster_w() == BASELINE_W


async def test_an_order_that_is_changed_before_it_is_answered_is_asked_again(tmp_path: Path) -> None:
    async with site(tmp_path, "confirm") as here:
        order = await here.ordered(4 * MW)
        await here.says("Answer by")
        here.said.clear()
        changed = here.fake.change(order, ends_at=order.starts_at + timedelta(minutes=30))
        await here.says("Answer by")
        by_hand = Kept(tmp_path / "state" / "agent.db")
        assert by_hand.answer(order.order_id, "accept", "person:eve")
        by_hand.close()
        here.clock.move_to(order.respond_by - timedelta(seconds=10))
        assert (await here.answers(order, "ACCEPTED")).revision == changed.revision


async def test_what_was_said_to_an_earlier_revision_is_no_answer_to_the_next(tmp_path: Path) -> None:
    async with site(tmp_path, "confirm") as here:
        with closing(Kept(tmp_path / "state" / "agent.db")) as by_hand:
            order = await here.ordered(4 * MW)
            await here.says("Answer by")
            assert by_hand.answer(order.order_id, "accept", "person:eve")
            here.said.clear()
            changed = here.fake.change(order, ends_at=order.starts_at + timedelta(minutes=30))
            await here.says("Answer by")
            assert by_hand.answer(order.order_id, "refuse", "person:eve")
            here.clock.move_to(order.respond_by - timedelta(seconds=10))
            assert (await here.answers(order, "REFUSED")).revision == changed.revision


async def test_of_an_order_that_is_no_more_nothing_is_asked(tmp_path: Path) -> None:
    async with site(tmp_path, "confirm") as here:
        order = await here.ordered(4 * MW)
        await here.says("Answer by")
        here.fake.cancel_order(order)
        other = await here.ordered(1 * MW)
        await here.says(f"order {other.order_id}: 1 MW")
        with closing(Kept(tmp_path / "state" / "agent.db")) as by_hand:
            assert [order_id for order_id, _, _ in by_hand.questions()] == [other.order_id]
    with closing(Kept(tmp_path / "state" / "agent.db")) as by_hand:
        assert by_hand.questions() == [], "who has stopped asks nothing"


@pytest.mark.parametrize("mode", ["advise", "dry-run"])
async def test_who_advises_sends_no_offer(tmp_path: Path, mode: str) -> None:
    async with site(tmp_path, mode) as here:
        request = here.fake.ask(4 * MW)
        await here.says(f"request {request.request_id}: would offer 4 MW at 90 EUR/MWh")
        written = {type(record).__name__ for record in here.fake.world.written}
        assert written <= ({"BaselineDeclaration"} if mode == "advise" else set())
