"""What may be asked and offered on a random day: mostly what fits, sometimes not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from gridsignal_schemas.messages import OfferOption
from gridsignal_schemas.values import MW
from tests.builders import an_option, utc
from tests.unit.ledger.watched import MINUTE

SITES = ("acme", "volt", "hyper")
REQUESTS = ("one", "two")

watts = st.integers(1, 24).map(lambda halves: halves * MW // 2)
terms = st.fixed_dictionaries(
    {
        "power_w": st.integers(2, 20).map(lambda megawatts: megawatts * MW),
        "min_quantity_w": st.sampled_from([0, 0, MW, 2 * MW]),
        "step_w": st.sampled_from([None, None, MW // 2, MW]),
        "firmness": st.sampled_from(["VOLUNTARY", "VOLUNTARY", "CONTRACTED", "MANDATORY"]),
        "pricing": st.sampled_from(["PAY_AS_BID", "PAY_AS_CLEARED", "REGULATED", "UNPAID"]),
        "clearing_mode": st.sampled_from(["AUTOMATIC", "AUTOMATIC", "BY_HAND"]),
        "run_mode": st.sampled_from(["LIVE", "LIVE", "TEST_ACTIVATION", "DRY_RUN"]),
        "direction": st.sampled_from(["LOAD_DECREASE", "LOAD_DECREASE", "LOAD_INCREASE"]),
        "ends_at": st.sampled_from([utc("18:45"), utc("19:30")]),
    }
)


@st.composite
def an_offered_option(draw: st.DrawFn) -> list[OfferOption]:
    """The options of one offer: one or two that exclude each other."""
    power = draw(watts)
    fields: dict[str, Any] = {
        "option": "all",
        "power_w": power,
        "price_per_mwh": Decimal(draw(st.integers(-20, 121))),
        "activation_fee": draw(st.sampled_from([None, None, Decimal(100)])),
        "divisible": draw(st.sampled_from([True, True, False])),
        "min_power_w": draw(st.sampled_from([0, 0, MW, 3 * MW])),
        "levels_w": draw(st.sampled_from([None, None, None, sorted({power, max(1, power // 2)})])),
        "rest_s": draw(st.sampled_from([None, None, 900, 3600])),
        "max_activations_per_day": draw(st.sampled_from([None, None, 1, 2])),
        "min_duration_s": draw(st.sampled_from([0, 0, 900, 2700])),
        "max_duration_s": draw(st.sampled_from([2700, 5400, 5400])),
        "starts_at": utc("18:00") + draw(st.sampled_from([0, 0, 20])) * MINUTE,
        "ends_at": utc("19:30"),
        "notice_s": 60,
        "full_activation_s": 600,
        "ramp_down_w_per_min": 20 * MW,
        "ramp_up_w_per_min": 20 * MW,
    }
    options = [an_option(**fields)]
    if draw(st.booleans()):
        less = {"option": "less", "power_w": max(1, power // 2), "min_power_w": 0, "levels_w": None}
        options.append(an_option(**fields | less))
    return options
