"""Brokers that are slow to tell of a new topic: whoever made it learns which one is waited for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import LogUnavailable
from gridsignal_services.bus.kafka_topics import apply


class Silent:
    """A client of brokers that have no topic, make each and do not answer from then on."""

    def __init__(self) -> None:
        self._made = 0

    async def _send_request(self, request: object) -> Any:
        if self._made:
            await asyncio.get_running_loop().create_future()
        return SimpleNamespace(to_object=lambda: {"topics": []})

    async def create_topics(self, topics: list[Any]) -> Any:
        self._made += len(topics)
        return SimpleNamespace(topic_errors=[(topic.name, 0) for topic in topics])


async def test_topics_that_nothing_is_told_of_are_named() -> None:
    brokers: Any = Silent()
    with pytest.raises(LogUnavailable) as late:
        await apply(brokers, "new.", 1, spread_s=0.0)
    names = ", ".join(sorted(f"new.{topic.name}" for topic in TOPICS.values()))
    assert str(late.value) == f"topics {names}: not told of within 0 s"
