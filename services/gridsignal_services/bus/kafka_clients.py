"""Starts and ends aiokafka's clients, whatever their brokers do."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient

LAST_WORDS_S = 0.5
"""How long connections that are closed by force may take to send what they hold."""


async def start(client: AIOKafkaConsumer | AIOKafkaProducer | AIOKafkaAdminClient) -> None:
    """Starts a client; whoever is cancelled meanwhile lets it find its brokers first, for LAST_WORDS_S at most.

    The connection by which it asks for them is in none of its lists: cancelled in that moment it would never be closed.
    """
    starting = asyncio.create_task(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _ends_well(starting, LAST_WORDS_S)
        raise


async def stop(client: AIOKafkaConsumer | AIOKafkaProducer, within_s: float) -> None:
    """Lets the client finish, for so long at most; its connections are closed in any case.

    One that is only given up would go on in the background: as a member of its group, and with its sockets open.
    In a task of its own: aiokafka cancels its fetches while it stops, and lets that cancellation out to its caller,
    whom nobody had cancelled; a task that reads for ever would end there without a word.
    """
    await _ends_well(asyncio.create_task(client.stop()), within_s)
    connections = client.client if isinstance(client, AIOKafkaProducer) else client._client
    await _ends_well(asyncio.create_task(close_all(connections)), LAST_WORDS_S)


async def close(admin: AIOKafkaAdminClient, within_s: float) -> None:
    """Closes a client for topics, and lets it take so long at most.

    In a task of its own: it takes the cancellation of whoever waits for it for that of its reading, and swallows it.
    """
    await _ends_well(asyncio.create_task(admin.close()), within_s)
    await _ends_well(asyncio.create_task(close_all(admin._client)), LAST_WORDS_S)


async def close_all(connections: AIOKafkaClient) -> None:
    """And then one that was just being made, which its client forgets: one is made at a time."""
    await connections.close()
    async with connections._get_conn_lock:
        await connections.close()


async def _ends_well(task: asyncio.Task[None], within_s: float) -> bool:
    try:
        await asyncio.wait([task], timeout=within_s)
    finally:
        task.cancel()  # no harm to one that is done
    return task.done() and not task.cancelled() and task.exception() is None
