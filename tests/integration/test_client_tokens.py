"""How the SDK keeps its token fresh."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import gridsignal
from gridsignal.testing import FakeGrid
from gridsignal_schemas import frames
from tests.builders import utc
from tests.integration.client_stage import HASTY, take
from tests.patience import SOON_S


@pytest.fixture
async def fake() -> AsyncIterator[FakeGrid]:
    async with FakeGrid() as standing:
        yield standing


@asynccontextmanager
async def connected(fake: FakeGrid, **options: Any) -> AsyncIterator[gridsignal.Grid]:
    given: dict[str, Any] = {"token": fake.token, "site": "fra-1", "outbox": ":memory:", "limits": HASTY}
    async with asyncio.timeout(2 * SOON_S), gridsignal.connect(fake.url, **given | options) as grid:
        yield grid


class Tokens:
    """A source of tokens that counts."""

    def __init__(self, fake: FakeGrid) -> None:
        self.fake, self.given = fake, 0
        self.asked = asyncio.Event()

    async def __call__(self) -> str:
        self.given += 1
        token = f"token-{self.given}"
        self.fake.tokens.add(token)
        self.asked.set()
        return token


async def test_a_token_that_expires_soon_is_refreshed_on_the_same_line(fake: FakeGrid) -> None:
    tokens = Tokens(fake)
    async with connected(fake, token=tokens) as grid:
        tokens.asked.clear()
        fake.tell(frames.TokenExpiring(expires_at=grid.now() + timedelta(seconds=60)))
        async with asyncio.timeout(SOON_S):
            await tokens.asked.wait()
            await grid.ping()
    assert (tokens.given, fake.upgrades) == (2, 1)


async def test_a_line_that_says_so_while_the_one_before_it_is_refreshed_is_refreshed_too(fake: FakeGrid) -> None:
    asked, fails = [asyncio.Event() for _ in range(3)], asyncio.Event()
    counted = iter(asked)

    async def token() -> str:
        this = next(counted)
        this.set()
        if this is asked[1]:
            await fails.wait()
            raise LookupError("the vault is sealed")
        return fake.token

    async with connected(fake, token=token) as grid:
        expiring = frames.TokenExpiring(expires_at=grid.now() + timedelta(seconds=60))
        fake.tell(expiring)
        async with asyncio.timeout(SOON_S):
            await asked[1].wait()
            fake.break_lines()
            await grid.ping()  # on the next line
            fake.tell(expiring)
            await grid.ping()
            fails.set()
            await asked[2].wait()


@pytest.mark.parametrize("how", ["close 4005", "401 at the next upgrade"])
async def test_an_expired_token_is_replaced_before_the_next_line(fake: FakeGrid, how: str) -> None:
    tokens = Tokens(fake)
    async with connected(fake, token=tokens) as grid:
        fake.tokens.clear()
        if how == "close 4005":
            await fake.close(4005)
        else:
            fake.break_lines()
        async with asyncio.timeout(SOON_S):
            while tokens.given < 2:
                tokens.asked.clear()
                await tokens.asked.wait()
            await grid.ping()
    assert tokens.given == 2


async def test_a_fixed_token_that_expires_ends_it_and_says_what_to_do(fake: FakeGrid) -> None:
    async with connected(fake) as grid:
        prices = grid.subscribe("prices")
        await grid.ping()
        await fake.close(4005)
        with pytest.raises(gridsignal.Unauthorized, match="function"):
            await take(prices, 1)


async def test_a_token_source_that_fails_at_first_is_named(fake: FakeGrid) -> None:
    def broken() -> str:
        raise LookupError("the vault is sealed")

    with pytest.raises(gridsignal.Unreachable, match="LookupError"):
        async with connected(fake, token=broken, limits=replace(HASTY, first_connect_s=0.2)):
            raise AssertionError("it was let in")


# --- the dispatch door ------------------------------------------------------------------------------------------


@asynccontextmanager
async def a_door(*takes: str) -> AsyncIterator[tuple[str, list[str]]]:
    """A dispatch door that knows no history and takes these tokens; its address, and the tokens it was shown."""
    shown: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        shown.append(head.partition("Bearer ")[2].split()[0])
        status, body = ("200 OK", '{"curves": []}') if shown[-1] in takes else ("401 Unauthorized", "{}")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", shown


async def asked(grid: gridsignal.Grid) -> list[gridsignal.PricePoint]:
    return await grid.history("prices", "DE-LU", utc("00:00"), utc("12:00"))


async def test_history_asks_once_for_another_token(fake: FakeGrid) -> None:
    async with a_door("token-2") as (api, shown), connected(fake, token=Tokens(fake), api=api) as grid:
        assert await asked(grid) == []
        assert await asked(grid) == []
    assert shown == ["token-1", "token-2", "token-2"]


async def test_history_gives_up_where_no_token_is_taken(fake: FakeGrid) -> None:
    async with a_door() as (api, shown), connected(fake, token=Tokens(fake), api=api) as grid:
        with pytest.raises(gridsignal.Unauthorized, match="the dispatch door does not take the token"):
            await asked(grid)
        assert shown == ["token-1", "token-2"]
    async with a_door() as (api, shown), connected(fake, api=api) as grid:
        with pytest.raises(gridsignal.Unauthorized):
            await asked(grid)
    assert shown == [fake.token]


async def test_history_says_that_the_token_function_gave_none(fake: FakeGrid) -> None:
    given = iter([fake.token])
    async with a_door() as (api, _), connected(fake, token=lambda: next(given), api=api) as grid:
        with pytest.raises(gridsignal.Unreachable, match="the token function failed"):
            await asked(grid)
