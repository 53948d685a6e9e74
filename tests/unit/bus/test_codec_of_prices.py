"""Figures of a curve through the codec."""

from __future__ import annotations

from gridsignal_schemas.messages import SpotPrice
from gridsignal_services.bus.codec import Codec
from tests.builders import a_spot_price

CODEC = Codec.from_lock()


def test_a_price_keeps_its_gaps_zeros_and_signs() -> None:
    price = a_spot_price(prices_per_mwh=["-500", "0", None, "-0.0001", "99999999999999.9999"])
    again = CODEC.decode(CODEC.encode(price))
    assert isinstance(again, SpotPrice)
    assert again.prices_per_mwh == price.prices_per_mwh
