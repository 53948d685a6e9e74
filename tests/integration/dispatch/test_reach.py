"""How far the file of finished requests reaches decides where a start reads on: what is no position decides nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gridsignal_services.dispatch.finished import Finished
from tests.integration.dispatch.test_finished import let_go


@pytest.mark.parametrize("position", ["'far'", "null", "1.5", "x'07'"])
async def test_a_reach_that_is_no_position_costs_a_replay(tmp_path: Path, position: str) -> None:
    before = Finished(tmp_path, stamp="this log")
    before.add(3, 7, let_go("one")[0])
    assert await before.settle(3, 10)
    await before.aclose()
    with contextlib.closing(sqlite3.connect(tmp_path / "finished.db", isolation_level=None)) as file:
        file.execute(f"update reach set position = {position}")
    again = Finished(tmp_path, stamp="this log")
    with capture_logs() as lines:
        assert await again.reach() == {}
    assert [line["log_level"] for line in lines] == ["warning"]
    await again.aclose()
