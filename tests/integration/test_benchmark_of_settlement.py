"""`python -m benchmarks settlement` runs on a handful of sites, and says what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.month import Month

_SMALL = "--sites 3 --days 1 --orders 2 --reading-s 300 --count 40 --repeat 1 --leaves 3000 --json"


def test_a_few_sites_are_settled_and_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "settlement", "--directory", str(tmp_path), *_SMALL.split()]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    month = said["month"]
    assert (month["readings"], month["orders"]) == (3 * 288, 3 * 2)
    assert set(month["statements_ms"]) > {"a site's, JSON", "the operator's, CSV"}
    assert len(month["reading"]["mb"]) == len(month["settling"]["mb"]) == 11
    for part, figure in (("arriving", "server_us"), ("heads", "share"), ("proof", "median_ms")):
        assert isinstance(said[part][figure], float)
    assert said["proof"]["leaves"] == 3000
    assert list(tmp_path.iterdir()) == []


def test_more_orders_than_a_day_has_room_for_are_refused() -> None:
    with pytest.raises(ValueError, match="expected from 1 to 8 orders in 1 days, got 9"):
        Month(sites=1, days=1, orders=9)
