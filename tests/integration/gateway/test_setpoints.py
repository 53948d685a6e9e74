"""Setpoints at the gateway: the newest to their own site, to nobody late, and nothing to rivals."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from gridsignal_schemas.messages import RegulationSetpoint
from tests.builders import a_setpoint
from tests.integration.gateway_stand import Client, Frame, Stand


def cycle(stand: Stand, number: int, **changes: object) -> RegulationSetpoint:
    """A setpoint of this cycle, to be followed within six seconds of the stand's time."""
    now = stand.clock.now()
    return a_setpoint(cycle_no=number, target_at=now, **{"valid_until": now + timedelta(seconds=6)} | changes)


async def cycles(client: Client, count: int) -> list[int]:
    return [(await client.signal())["body"]["cycle_no"] for _ in range(count)]


def signals(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame["t"] == "signal"]


async def test_a_site_is_sent_the_newest_of_its_order_once_and_in_order(stand: Stand) -> None:
    async with stand.client() as client:
        await client.subscribe("regulation", filter={"orders": [a_setpoint().order_id]}, mode="latest")
        await stand.publish(
            cycle(stand, 1),
            cycle(stand, 3),
            cycle(stand, 2),  # it was overtaken
            cycle(stand, 3),  # it was sent twice
            cycle(stand, 9, order_id="another"),
            cycle(stand, 4, valid_until=stand.clock.now()),  # it took too long
            cycle(stand, 5),
        )
        assert await cycles(client, 3) == [1, 3, 5]
        assert signals(await client.round_trip()) == []


async def test_whoever_comes_back_late_is_sent_what_is_still_valid_alone(stand: Stand) -> None:
    async with stand.client() as client:
        await client.subscribe("regulation", snapshot=True)
        cursor = (await client.position())["cursor"]
    await stand.publish(cycle(stand, 1))
    async with stand.client() as client:
        await client.subscribe("regulation", cursor=cursor)
        assert await cycles(client, 1) == [1]
    stand.clock.move_to(stand.clock.now() + timedelta(seconds=4))
    await stand.publish(cycle(stand, 2))
    async with stand.client() as client:
        await client.subscribe("regulation", snapshot=True)
        assert await cycles(client, 1) == [2]
    stand.clock.move_to(stand.clock.now() + timedelta(seconds=6))
    for begin in ({"snapshot": True}, {"cursor": cursor}, {"cursor": cursor, "mode": "latest"}):
        async with stand.client() as client:
            await client.subscribe("regulation", **begin)
            assert signals(await client.round_trip()) == []


async def test_a_rival_is_told_of_no_setpoint_and_of_no_position_that_one_moved(tmp_path: Path) -> None:
    async with (
        Stand.open(tmp_path, position_every=10) as stand,
        stand.client(site=None, token=stand.token("hyper-infer")) as rival,
        stand.client() as client,
    ):
        await rival.subscribe("regulation", snapshot=True)
        await rival.position()
        await client.subscribe("regulation")
        await stand.publish(*(cycle(stand, number) for number in range(30)))
        assert await cycles(client, 30) == list(range(30))
        assert await rival.round_trip() == []
