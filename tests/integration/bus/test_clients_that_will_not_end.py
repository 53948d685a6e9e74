"""Clients that end badly: whoever ends them goes on, in time."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from gridsignal_services.bus.kafka_clients import close, close_all, start, stop
from gridsignal_services.bus.kafka_topics import Brokers, administration
from gridsignal_services.supervised import Ended, supervise
from tests.patience import SOON_S


class Connections:
    def __init__(self) -> None:
        self.closed = False
        self._get_conn_lock = asyncio.Lock()

    async def close(self) -> None:
        self.closed = True


class Client:
    """Ends as the test wants."""

    def __init__(self, stop: Callable[[], Awaitable[None]]) -> None:
        self._client = Connections()
        self._stop = stop

    async def stop(self) -> None:
        await self._stop()


async def lets_a_cancellation_out() -> None:
    fetch = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)
    fetch.cancel()
    await fetch  # as aiokafka does where a fetch waits to try again


async def waits_for_ever() -> None:
    await asyncio.Event().wait()


async def does_not_let_itself_be_cancelled() -> None:
    for _ in range(2):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def fails() -> None:
    raise OSError("the network is gone")


async def test_a_connection_that_is_made_meanwhile_is_closed_once_it_is_there() -> None:
    connections = Connections()
    async with asyncio.timeout(SOON_S), connections._get_conn_lock:
        closing = asyncio.create_task(close_all(cast("Any", connections)))
        await asyncio.sleep(0)
        assert connections.closed
        connections.closed = False  # there is another one now
    await closing
    assert connections.closed


@pytest.mark.parametrize(
    "ends", [lets_a_cancellation_out, waits_for_ever, does_not_let_itself_be_cancelled, fails], ids=lambda f: f.__name__
)
async def test_a_client_is_ended_in_time_and_its_connections_are_closed(ends: Callable[[], Awaitable[None]]) -> None:
    client = Client(ends)
    async with asyncio.timeout(SOON_S):
        await stop(cast("Any", client), 0.1)
    assert client._client.closed


@pytest.mark.parametrize("passes", range(8))
async def test_who_has_asked_a_cluster_is_cancelled_while_the_client_is_closed(kafka: Brokers, passes: int) -> None:
    asked = asyncio.Event()

    async def ask() -> None:
        async with administration(kafka):
            asked.set()
        await waits_for_ever()

    task = asyncio.create_task(ask())
    await asked.wait()
    for _ in range(passes):  # of the loop
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=SOON_S)
    assert task.cancelled()


@pytest.mark.parametrize("client_of", [AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient])
async def test_who_is_cancelled_while_a_client_starts_leaves_no_connection_open(
    kafka: Brokers, client_of: Callable[..., Any]
) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        for quarters_ms in range(80):  # from before it has connected to where it has long started
            client = client_of(**kafka.settings())
            starting = asyncio.create_task(start(client))
            await asyncio.wait([starting], timeout=quarters_ms / 4000)
            starting.cancel()
            await asyncio.wait([starting], timeout=SOON_S)
            await (close if client_of is AIOKafkaAdminClient else stop)(client, SOON_S)
            del client, starting
        gc.collect()
    assert [str(each.message) for each in told] == []


async def test_work_for_ever_that_ends_is_told() -> None:
    with pytest.raises(Ended, match="reading: expected to go on"):
        await supervise("reading", lets_a_cancellation_out())


async def test_work_for_ever_is_cancelled_like_any_other() -> None:
    task = asyncio.create_task(supervise("reading", waits_for_ever()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
