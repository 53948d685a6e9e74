"""`python -m benchmarks grid` plays random days, and no area leaves its limits in them."""

from __future__ import annotations

import argparse
import json

import pytest

from benchmarks import grid
from benchmarks.grid_day import GridDay
from benchmarks.grid_plant import Plants


def test_a_few_days_are_played_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = argparse.ArgumentParser()
    grid.add_arguments(arguments)
    assert grid.run(argparse.Namespace(json=True, **vars(arguments.parse_args(["--days", "3"])))) == 0
    said = json.loads(capsys.readouterr().out)

    assert (said["days"], said["violations"]) == (3, [])
    assert said["orders"] > 0


def test_plants_that_move_at_once_leave_the_limits_of_an_area() -> None:
    """The simulation sees it where the ledger does not keep to them."""
    beyond = 0
    for seed in range(1, 6):
        day = GridDay(seed)
        book = day.market.ledger.book
        book.areas_of_site.clear()
        day.play()
        plants = Plants(day)
        beyond += sum(reached > most for area in day.areas for _, reached, most in plants.reached(area))
    assert beyond
