"""Each test of this folder runs against the gateway in memory that ships with the SDK, and against the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.client_stage import STAGES, Stage


@pytest.fixture(params=STAGES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    """A gateway behind a relay."""
    async with STAGES[request.param](tmp_path) as standing:
        yield standing
