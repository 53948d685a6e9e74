"""The conversation at the end of PROTOCOL.md happens, word for word, on a real gateway."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.builders import REQUEST_ID, a_dispatch_request, a_spot_price, utc
from tests.integration.gateway_stand import Client, Stand, open_client

PROTOCOL = Path(__file__).parents[2] / "schemas" / "PROTOCOL.md"
Line = tuple[str, str]

DIFFERS = ("session", "time", "token_expires_at", "sub", "cursor", "order_id", "sha256")
"""What is chosen anew each time; the same value in the text is the same value here."""


def lines_of(text: str) -> Iterator[Line]:
    """(mark, content) of each step; a line that begins with spaces goes on with the one before."""
    block = re.findall(r"```conversation\n(.*?)```", text, re.DOTALL)[0]
    for step in re.sub(r"\n +", " ", block).strip().splitlines():
        if step:
            mark, _, content = step.partition(" ")
            yield mark, content


class Conversation:
    """One client's steps, and what the world does between them."""

    def __init__(self, stand: Stand, stack: AsyncExitStack) -> None:
        self._stand = stand
        self._token = stand.token()
        self._stack = stack
        self._connection = AsyncExitStack()
        self.client: Client | None = None
        self.actual: dict[tuple[str, str], str] = {}
        self._happens: dict[str, Callable[[], Awaitable[None]]] = {
            "the day-ahead prices of DE-LU have been published": self._prices_are_published,
            "the client connects": self._connects,
            "tso-north asks for 12 MW less from 18:00 to 18:45 UTC": self._asks,
            "the ledger finds the offer in order": stand.announce,
            "the connection breaks; meanwhile the request is cleared": self._breaks,
            "the client connects again": self._connects,
            "the ledger announces the award": stand.announce,
        }

    async def happens(self, what: str) -> None:
        await self._happens[what]()

    async def _prices_are_published(self) -> None:
        await self._stand.register()
        curve = a_spot_price().prices_per_mwh[:4]
        await self._stand.publish(a_spot_price(prices_per_mwh=curve))

    async def _connects(self) -> None:
        self._connection = await self._stack.enter_async_context(AsyncExitStack())
        self.client = await self._connection.enter_async_context(open_client(self._stand.url, self._token))

    async def _asks(self) -> None:
        await self._stand.publish(a_dispatch_request(), principal="operator:tso-north")

    async def _breaks(self) -> None:
        await self._connection.aclose()
        self._stand.clock.move_to(utc("17:00"))
        await self._stand.clear(REQUEST_ID)

    async def sends(self, text: str) -> None:
        assert self.client is not None
        for (_, told), actual in self.actual.items():
            text = text.replace(json.dumps(told), json.dumps(actual))
        await self.client.send(json.loads(text))

    async def hears(self, text: str) -> None:
        assert self.client is not None
        told, got = json.loads(text), await self.client.receive()
        assert self._with_actual_values(told, got) == got

    def _with_actual_values(self, told: Any, got: Any) -> Any:
        if isinstance(told, dict) and isinstance(got, dict):
            return {self._key(name, got): self._value(name, value, got) for name, value in told.items()}
        if isinstance(told, list) and isinstance(got, list) and len(told) == len(got):
            return [self._with_actual_values(one, other) for one, other in zip(told, got, strict=True)]
        return told

    def _key(self, name: str, got: dict[str, Any]) -> str:
        known = self.actual.get(("order_id", name))  # in `states` ids are names
        return known if known in got else name

    def _value(self, name: str, told: Any, got: dict[str, Any]) -> Any:
        actual = got.get(self._key(name, got))
        if name in DIFFERS and isinstance(told, str) and isinstance(actual, str):
            return self.actual.setdefault((name, told), actual)
        return self._with_actual_values(told, actual)


def test_every_step_of_the_conversation_is_marked() -> None:
    steps = list(lines_of(PROTOCOL.read_text("utf-8")))
    assert {mark for mark, _ in steps} == {">", "<", "--"}
    assert {json.loads(content)["t"] for mark, content in steps if mark == ">"} >= {
        "hello",
        "subscribe",
        "offer",
        "respond",
        "query",
        "reading",
        "unsubscribe",
    }


async def test_the_worked_conversation_happens_as_it_is_told(tmp_path: Path) -> None:
    async with Stand.open(tmp_path) as stand, AsyncExitStack() as stack:
        conversation = Conversation(stand, stack)
        steps = {"--": conversation.happens, ">": conversation.sends, "<": conversation.hears}
        for mark, content in lines_of(PROTOCOL.read_text("utf-8")):
            await steps[mark](content)


def test_a_step_may_go_on_in_the_next_line() -> None:
    assert list(lines_of('```conversation\n> {"t":\n  "hello"}\n\n-- then\n```')) == [
        (">", '{"t": "hello"}'),
        ("--", "then"),
    ]


@pytest.mark.parametrize("told", [{"cursor": "a"}, {"cursor": "b", "x": 1}])
async def test_values_that_differ_each_time_are_remembered(tmp_path: Path, told: dict[str, Any]) -> None:
    async with Stand.open(tmp_path) as stand, AsyncExitStack() as stack:
        conversation = Conversation(stand, stack)
        assert conversation._with_actual_values(told, {"cursor": "real"})["cursor"] == "real"
        assert conversation.actual == {("cursor", told["cursor"]): "real"}
