"""`gridsignal regulation replay` as it is typed: two cycles reach the site; what is wrong is told."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gridsignal import MW
from gridsignal.__main__ import main
from tests.integration.dispatch.conftest import Day, day
from tests.integration.typed import unlogged
from tests.patience import SOON_S

__all__ = ["day"]


async def test_a_recorded_signal_is_sent_at_its_own_pace(
    day: Day, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unlogged()
    order = await day.order()
    await day.clock.move_to(order.starts_at + timedelta(minutes=1))
    monkeypatch.setenv("GRIDSIGNAL_TOKEN", day.stack.token("operator", "tso-north"))
    now = datetime.now(UTC)
    monkeypatch.setenv("GRIDSIGNAL_GRID_CLOCK", f"{day.clock.now().isoformat()} 1 {now.isoformat()}")
    file = tmp_path / "signal.csv"
    file.write_text(",RegD\n0:00:00,0.5\n0:00:02,-0.25\n", "utf-8")

    def replay(words: list[str]) -> int:
        return main(["regulation", "replay", str(file), "--base", "36MW", "--api", day.stack.api_url, *words])

    async with day.site() as grid, asyncio.timeout(SOON_S):
        signal = grid.regulate(order)
        replaying = asyncio.create_task(asyncio.to_thread(replay, ["--order", order.order_id, "--json"]))
        told = [(await anext(signal)).power_w(order.power_w)]
        while told[-1] != 39 * MW:
            told.append((await anext(signal)).power_w(order.power_w))
        assert await replaying == 0
    assert told in ([30 * MW, 39 * MW], [39 * MW])  # the newest alone, where the program was slow
    assert json.loads(capsys.readouterr().out) == {"cycles": 2, "sent": 2}

    assert await asyncio.to_thread(replay, ["--order", "nobodys"]) == 1
    assert "No such order, or you may not see it." in capsys.readouterr().err
    file.write_text("t,s\n0:00:00,7\n", "utf-8")
    assert await asyncio.to_thread(replay, ["--order", order.order_id]) == 2
    assert "line 2, column 2: expected a signal from -1 to 1" in capsys.readouterr().err
