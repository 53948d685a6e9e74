"""Ends aiokafka's clients, whatever their brokers do."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

LAST_WORDS_S = 0.5
"""How long connections that are closed by force may take to send what they hold."""


async def stop(client: AIOKafkaConsumer | AIOKafkaProducer, within_s: float) -> None:
    """Lets the client finish, for so long at most; its connections are closed in any case.

    One that is only given up would go on in the background: as a member of its group, and with its sockets open.
    """
    with suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(within_s):
            await client.stop()
            return
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_S):
            await client._client.close() if isinstance(client, AIOKafkaConsumer) else await client.client.close()
