"""People read powers in their unit and counts as one says them."""

from __future__ import annotations

import pytest

from gridsignal.agent.words import counted, power


@pytest.mark.parametrize(
    ("watts", "said"),
    [
        (0, "0 W"), (999, "999 W"), (1_000, "1 kW"), (350_500, "350.5 kW"), (999_999, "999.999 kW"),
        (14_000_000, "14 MW"), (9_200_000, "9.2 MW"), (12_345_678, "12.345678 MW"), (-2_000_000, "-2 MW"),
        (1e12, "1000000 MW"), (4_000_000.4, "4 MW"),
    ],
)  # fmt: skip
def test_a_power_is_told_to_the_watt_in_its_unit(watts: float, said: str) -> None:
    assert power(watts) == said


@pytest.mark.parametrize(("number", "said"), [(0, "no order binds"), (1, "1 order binds"), (2, "2 orders bind")])
def test_one_is_one_and_none_is_none(number: int, said: str) -> None:
    assert counted(number, "order binds", "orders bind") == said
