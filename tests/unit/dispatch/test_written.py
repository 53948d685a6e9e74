"""A long answer is put together from pieces: its text is the same as if it had been written at once."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.rules import vintages
from gridsignal_schemas.rules.vintages import Best, Logged
from gridsignal_services.dispatch.signals import Carbon, Prices, texts
from gridsignal_services.dispatch.written import around
from tests.builders import a_carbon_intensity, a_spot_price, utc

FROM, TO, AS_OF = utc("12:00"), utc("18:00"), utc("20:00")
VALUES = st.lists(st.one_of(st.none(), st.integers(0, 400).map(Decimal)), min_size=1, max_size=90)
SERIES = st.tuples(VALUES, st.integers(-40, 40), st.sampled_from(["one", 'an "odd" name', "curves"]), st.booleans())


def known(make: Any, name: str, series: list[tuple[list[Decimal | None], int, str, bool]]) -> list[Logged]:
    return [
        Logged(AS_OF - timedelta(minutes=hours_back), make(starts_at=FROM + timedelta(minutes=5 * hours_back), **given))
        for values, hours_back, dataset, is_fine in series
        for given in [{name: values, "dataset": dataset, "resolution_s": 300 if is_fine else 60}]
    ]


@given(st.lists(SERIES, max_size=8))
def test_prices_in_pieces_are_the_same_text(series: list[tuple[list[Decimal | None], int, str, bool]]) -> None:
    logged = known(a_spot_price, "prices_per_mwh", series)
    whole = Prices(as_of=AS_OF, curves=vintages.prices(logged, FROM, TO, AS_OF)).model_dump_json()
    assert "".join(texts(Prices(as_of=AS_OF, curves=[]), logged, Best(FROM, TO, AS_OF))) == whole


@given(st.lists(SERIES, max_size=8))
def test_carbon_in_pieces_is_the_same_text(series: list[tuple[list[Decimal | None], int, str, bool]]) -> None:
    logged = known(a_carbon_intensity, "grams_per_kwh", series)
    whole = Carbon(as_of=AS_OF, curves=vintages.carbon(logged, FROM, TO, AS_OF)).model_dump_json()
    assert "".join(texts(Carbon(as_of=AS_OF, curves=[]), logged, Best(FROM, TO, AS_OF))) == whole


def test_a_piece_never_holds_more_than_a_few_values() -> None:
    long = [Decimal(number % 300) for number in range(5000)]
    logged = [Logged(AS_OF, a_spot_price(prices_per_mwh=long, resolution_s=300, starts_at=FROM))]
    pieces = list(texts(Prices(as_of=AS_OF, curves=[]), logged, Best(FROM, FROM + timedelta(days=30), AS_OF)))
    assert sum(piece.count("logged_at") for piece in pieces) == 5000
    assert max(piece.count("logged_at") for piece in pieces) <= 256


def test_what_stands_around_a_list_is_the_rest_of_the_text() -> None:
    assert around(Prices(as_of=AS_OF, curves=[]), "curves") == ('{"as_of":"2024-05-12T20:00:00Z","curves":[', "]}")
