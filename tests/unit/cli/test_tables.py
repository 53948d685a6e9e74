"""What stands in a table is as exact as what stands beside it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal.cli.connection import newest
from gridsignal.cli.tables import in_mwh, show
from gridsignal_schemas.records import row_of
from gridsignal_schemas.values import MW
from gridsignal_services.settlement.delivery import amount, wh_of
from tests.builders import BUILDERS, a_settlement

CENT = Decimal("0.01")


@given(st.integers(-(10**12), 10**12))
def test_energy_is_shown_to_the_watt_hour_and_with_three_places_at_least(energy: int) -> None:
    shown = Decimal(in_mwh(energy))
    assert shown * MW == energy
    assert -6 <= int(shown.as_tuple().exponent) <= -3


@given(st.integers(0, 1000 * MW), st.integers(1, 86_400), st.decimals(-5000, 5000, places=2))
def test_energy_as_shown_times_its_price_is_the_amount_beside_it(power_w: int, seconds: int, price: Decimal) -> None:
    beside = amount(power_w * seconds, price).quantize(CENT)
    assert abs(Decimal(in_mwh(wh_of(power_w * seconds))) * price - beside) < CENT


@pytest.mark.parametrize("name", [name for name, build in BUILDERS.items() if row_of(build()).is_delivered])
def test_each_signal_is_shown_with_what_it_says_and_never_by_its_name_alone(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(BUILDERS[name](), as_json=False)
    assert capsys.readouterr().out.strip() not in ("", name)


def test_of_a_settlement_the_newest_version_is_shown() -> None:
    versions = [a_settlement(), a_settlement(version=2, supersedes=1, status="FINAL")]
    assert newest(versions) == versions[1:]
