"""Meters tell a mean, or that a part of it is not known."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gridsignal.agent.meters import MeterFailed
from gridsignal.agent.meters.csv_file import CsvMeter
from gridsignal.agent.meters.prometheus import PrometheusMeter
from gridsignal_schemas.values import rfc3339
from tests.builders import utc

NOON = utc("12:00")


def line(minute: int, watts: object) -> str:
    return f"{rfc3339(NOON + timedelta(minutes=minute))},{watts}\n"


async def test_a_csv_meter_tells_the_mean_and_no_mean_over_a_gap(tmp_path: Path) -> None:
    file = tmp_path / "power.csv"
    meter = CsvMeter(file, longest_s=60)
    file.write_text("time,watts\n" + "".join(line(at, 1000 + 100 * at) for at in range(4)) + line(6, 9), "utf-8")
    assert await meter.mean_w(NOON, NOON + timedelta(minutes=2)) == 1050
    assert await meter.mean_w(NOON + timedelta(seconds=30), NOON + timedelta(seconds=90)) == 1050
    assert await meter.mean_w(NOON, NOON + timedelta(minutes=5)) is None, "between 12:04 and 12:06 nothing is known"
    assert await meter.mean_w(NOON - timedelta(minutes=1), NOON + timedelta(minutes=1)) is None
    with file.open("a", encoding="utf-8") as more:
        more.write(line(7, "nan") + line(8, 9) + "2024-05-12T12:09:00Z,1")  # a line that is still being written
    assert await meter.mean_w(NOON + timedelta(minutes=6), NOON + timedelta(minutes=9)) is None
    assert await meter.mean_w(NOON + timedelta(minutes=8), NOON + timedelta(minutes=9)) == 9
    assert await meter.check(NOON + timedelta(minutes=9)) == "9 W, 60 s ago"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("at,watts\n", "line 1: expected a column time, got at, watts"),
        ("time,watts\n2024-05-12T12:00:00Z,much\n", "line 2: expected a time and watts"),
        ("time,watts\n2024-05-12T12:00:00,5\n", "expected times with their offset"),
    ],
)
async def test_what_is_no_reading_is_told_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "power.csv").write_text(text, "utf-8")
    with pytest.raises(MeterFailed, match=says):
        await CsvMeter(tmp_path / "power.csv").mean_w(NOON, NOON + timedelta(minutes=1))


class Answering(BaseHTTPRequestHandler):
    """Answers as Prometheus does: a value each step, but for those that `missing` names."""

    missing: set[int] = set()  # noqa: RUF012 - set by each test
    series = 1

    def do_GET(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        start, end = (datetime.fromisoformat(asked[name]) for name in ("start", "end"))
        step, at, values = int(asked["step"]), start, list[Any]()
        while at <= end:
            if len(values) not in self.missing:
                values.append([int(at.timestamp() * 1000) / 1000, "420"])
            at += timedelta(seconds=step)
        body = json.dumps({"data": {"result": [{"values": values}] * self.series}}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """It says nothing."""


@pytest.fixture
def prometheus() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_prometheus_meter_asks_for_the_interval_and_knows_a_gap(prometheus: str) -> None:
    meter = PrometheusMeter(prometheus, "sum(power)", step_s=15)
    try:
        assert await meter.mean_w(NOON, NOON + timedelta(minutes=15)) == 420
        Answering.missing = {3, 4, 5}
        assert await meter.mean_w(NOON, NOON + timedelta(minutes=15)) is None
        Answering.missing, Answering.series = set(), 2
        with pytest.raises(MeterFailed, match="expected one series, got 2"):
            await meter.mean_w(NOON, NOON + timedelta(minutes=1))
    finally:
        Answering.missing, Answering.series = set(), 1


@pytest.mark.parametrize(("step_s", "late_us"), [(15, 0), (15, 1), (40, 0), (40, 987_654), (3600, 1)])
async def test_a_step_that_does_not_divide_the_window_leaves_no_gap(prometheus: str, step_s: int, late_us: int) -> None:
    start = NOON + timedelta(microseconds=late_us)
    meter = PrometheusMeter(prometheus, "sum(power)", step_s=step_s)
    assert await meter.mean_w(start, start + timedelta(minutes=15)) == 420


async def test_a_prometheus_that_is_away_is_told() -> None:
    with pytest.raises(MeterFailed, match="Connection refused"):
        await PrometheusMeter("http://127.0.0.1:9", "up").mean_w(NOON, NOON + timedelta(minutes=1))
