"""What is asked too fast is refused as something that can succeed later: alike by both gateways, in both facades."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import gridsignal
from gridsignal.testing import FakeGrid
from tests.integration.gateway_stand import Stand
from tests.integration.typed import typing_at
from tests.patience import SOON_S

SEVERAL = 4
Where = tuple[str, str]


@asynccontextmanager
async def in_memory(_: Path, **limits: Any) -> AsyncIterator[Where]:
    async with FakeGrid(**limits) as fake:
        yield fake.url, fake.token


@asynccontextmanager
async def real(directory: Path, **limits: Any) -> AsyncIterator[Where]:
    async with Stand.open(directory, **limits) as stand:
        yield stand.url.removesuffix("/v1/stream"), stand.token()


@pytest.fixture(params=["fake", "gateway"])
def hurried(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], AbstractAsyncContextManager[Where]]:
    """A gateway that has time for so many frames of a connection, and for no more before the test is over."""
    opened = {"fake": in_memory, "gateway": real}[request.param]
    return lambda frames: opened(tmp_path, frames_per_s=0.001, frame_burst=frames)


async def test_what_is_asked_too_fast_can_be_asked_again(hurried: Any) -> None:
    async def ask(url: str, token: str) -> None:
        async with gridsignal.connect(url, token=token, site="fra-1", outbox=":memory:") as grid:
            for _ in range(SEVERAL):
                await grid.query(offer_ids=["ours"])

    async with hurried(SEVERAL) as where, asyncio.timeout(SOON_S):
        with pytest.raises(gridsignal.Refused, match=r"the query \(too many frames") as refused:
            await ask(*where)
    assert (refused.value.code, refused.value.retriable) == ("rate", True)


async def test_so_it_is_without_async(hurried: Any) -> None:
    def ask(url: str, token: str) -> None:
        with gridsignal.sync.connect(url, token=token, site="fra-1", outbox=":memory:") as grid:
            for _ in range(SEVERAL):
                grid.orders()

    async with hurried(SEVERAL) as where, asyncio.timeout(SOON_S):
        with pytest.raises(gridsignal.Refused) as refused:
            await asyncio.to_thread(ask, *where)
    assert (refused.value.code, refused.value.retriable) == ("rate", True)


async def test_a_command_that_asked_too_fast_is_to_be_tried_again(
    hurried: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with hurried(1) as (url, token), asyncio.timeout(SOON_S):
        left = await typing_at({"url": url, "token": token}, monkeypatch, capsys)("offer", "list")
    assert (left.code, left.out) == (3, "")
    assert "too many frames" in left.err
