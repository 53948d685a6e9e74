"""The SDK's pytest plugin: fixtures for the tests of your own program, which pytest finds by itself.

    async def test_my_program_offers(fake_grid):
        async with gridsignal.connect(fake_grid.url, token=fake_grid.token, site="fra-1", outbox=":memory:") as grid:
            ...

The fixture is asynchronous: it needs pytest-asyncio (`pip install pytest pytest-asyncio`), with `asyncio_mode = auto`
in pytest's settings or a mark at each test, or anyio's plugin in a test marked with it. A test that moves time asks for
`fake_clock` as well and connects with `clock=fake_clock`; `grid.history` tells what the test has published, with
`api=fake_grid.api`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gridsignal.testing import FakeGrid, ManualClock

try:
    from pytest_asyncio import fixture as _asynchronous
except ImportError:  # anyio runs plain asynchronous fixtures
    _asynchronous = pytest.fixture  # type: ignore[assignment]  # both take an asynchronous generator function


@pytest.fixture
def fake_clock() -> ManualClock:
    """Grid time that stands still until the test moves it; it begins now."""
    from gridsignal.testing import ManualClock

    return ManualClock(datetime.now(UTC))


@_asynchronous
async def fake_grid(request: pytest.FixtureRequest) -> AsyncIterator[FakeGrid]:
    """A gateway in memory for one test; on the test's `fake_clock`, where it has one."""
    from gridsignal.testing import FakeGrid

    clock = request.getfixturevalue("fake_clock") if "fake_clock" in request.fixturenames else None
    async with FakeGrid(now=clock.now) if clock is not None else FakeGrid() as fake:
        yield fake
