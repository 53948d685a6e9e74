"""Heartbeats, signs of life, tokens that end, registries that change, gateways that go."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from gridsignal_services.registry import Registry, example_registry_text
from tests.builders import a_spot_price
from tests.integration.gateway_stand import Stand, open_client
from tests.patience import SOON_S


async def test_a_silent_subscription_has_a_heartbeat(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, ping_s=1) as stand, stand.client() as client:
        subscribed = await client.subscribe("prices", filter={"zones": ["DE-LU"]})
        first = await client.position()
        await stand.publish(a_spot_price(zone="FR"))
        second = await client.position()
        assert first["sub"] == second["sub"] == subscribed["sub"]
        assert first["cursor"] != second["cursor"]


async def test_a_position_is_told_when_much_has_passed_unseen(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, position_every=5, ping_s=100) as stand, stand.client() as client:
        await client.subscribe("prices", filter={"zones": ["DE-LU"]})
        first = await client.position()
        await stand.publish(*(a_spot_price(zone="FR", revision=number) for number in range(1, 6)))
        assert (await client.position())["cursor"] != first["cursor"]


async def test_a_peer_without_a_sign_of_life_is_closed(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, ping_s=100, dead_after_s=1) as stand, stand.client() as client:
        assert (await client.closed())[0] == 4003


async def test_pings_keep_a_silent_client_alive(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, ping_s=1, dead_after_s=2) as stand, stand.client() as client:
        await client.subscribe("prices")
        for _ in range(5):  # a heartbeat a second; the library answers the pings meanwhile
            await client.position()
        assert (await client.ask("query"))["t"] == "states"


def by_hand(folder: Path) -> AbstractAsyncContextManager[Stand]:
    """Tokens end when the test moves the clock, and it is looked at once a second."""
    return Stand.open(folder, all_by_hand=True, token_notice_s=1, ping_s=1)


async def test_a_token_that_ends_is_announced_and_then_closes_the_connection(tmp_path: Path) -> None:
    async with by_hand(tmp_path) as stand, stand.client(token=stand.token(ttl_s=60)) as client:
        stand.clock.move_to(stand.clock.now() + timedelta(seconds=59))
        expiring = await client.until(lambda frame: frame["t"] == "token_expiring")
        assert expiring["expires_at"] == client.welcome["token_expires_at"]
        stand.clock.move_to(stand.clock.now() + timedelta(seconds=1))
        assert (await client.closed())[0] == 4005


async def test_a_fresh_token_keeps_the_connection(tmp_path: Path) -> None:
    async with by_hand(tmp_path) as stand, stand.client(token=stand.token(ttl_s=2)) as client:
        assert (await client.ask("token", token="nonsense"))["code"] == "unauthorized"
        assert (await client.ask("token", token=stand.token("volt-colo")))["code"] == "forbidden"
        accepted = await client.ask("token", token=stand.token(ttl_s=60))
        assert accepted["t"] == "token_accepted"
        assert accepted["token_expires_at"] > client.welcome["token_expires_at"]
        stand.clock.move_to(stand.clock.now() + timedelta(seconds=30))  # the first one is long over
        await client.subscribe("prices")
        for _ in range(4):
            await client.position()


async def test_a_changed_registry_ends_the_connections_it_concerns(stand: Stand) -> None:
    async with stand.client() as acme, stand.client(site="muc-1", token=stand.token("volt-colo")) as volt:
        text = example_registry_text()
        fewer = text[: text.index("[sites.fra-1]")] + text[text.index("[", text.index("[sites.fra-1]") + 1) :]
        stand.gateway.entitle(Registry.parse(fewer))
        assert (await acme.closed())[0] == 4006
        assert (await volt.subscribe("prices"))["t"] == "subscribed"


async def test_a_drain_asks_first_and_then_closes_who_stays(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, drain_spread_s=0.5) as stand, stand.client() as client:
        draining = asyncio.create_task(stand.gateway.drain())
        drain = await client.receive()
        assert drain["t"] == "drain"
        assert 0 <= drain["reconnect_after_ms"] <= 500
        with pytest.raises(InvalidStatus) as caught:
            async with open_client(stand.url, stand.token()):
                pass
        assert caught.value.response.status_code == 503
        assert (await client.closed())[0] == 4001
        async with asyncio.timeout(SOON_S):
            await draining


async def test_a_gateway_that_is_stopped_says_goodbye(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with Stand.open(tmp_path) as stand:
            client = await stack.enter_async_context(stand.client())
        assert (await client.closed())[0] == 1001
