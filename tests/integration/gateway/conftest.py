"""A gateway that is ready, for every test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.gateway_stand import Stand


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    """A gateway that is ready, with the limits of the settings."""
    async with Stand.open(tmp_path) as standing:
        yield standing
