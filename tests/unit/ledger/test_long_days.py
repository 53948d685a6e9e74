"""The laws again, on long days: a seeded player weighs its moves so that most requests get far.

The state machine of `test_laws` finds the shortest day that breaks a law; these days go deeper and are always the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import pytest

from gridsignal_schemas.messages import ClearingTrigger, OfferOption
from gridsignal_schemas.values import MW
from tests.builders import an_option, utc
from tests.unit.ledger.days import REQUESTS, SITES
from tests.unit.ledger.test_laws import ANSWERS, Day
from tests.unit.ledger.watched import MINUTE

SEEDS = range(48)
MOVES = 70


class Player:
    """Plays one day by the rules of the machine."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.day = Day()
        some = [self._options() if self.chance.random() < 0.9 else None for _ in range(6)]
        self.day.open(
            baselines=[self.chance.randint(24, 40) for _ in SITES],
            asked=[self._terms() for _ in REQUESTS],
            offered=some,
            expires=[self.chance.choice([75, 130, 250, 300, 300]) for _ in some],
        )

    def _terms(self) -> dict[str, Any]:
        pick = self.chance.choice
        return {
            "power_w": self.chance.randint(6, 20) * MW,
            "min_quantity_w": pick([0, 0, MW, 2 * MW]),
            "step_w": pick([None, None, MW // 2, MW]),
            "firmness": pick(["VOLUNTARY", "VOLUNTARY", "CONTRACTED", "MANDATORY"]),
            "pricing": pick(["PAY_AS_BID", "PAY_AS_CLEARED", "REGULATED", "UNPAID"]),
            "clearing_mode": pick(["AUTOMATIC", "AUTOMATIC", "BY_HAND"]),
            "run_mode": pick(["LIVE", "LIVE", "LIVE", "DRY_RUN"]),
            "direction": pick(["LOAD_DECREASE", "LOAD_DECREASE", "LOAD_DECREASE", "LOAD_INCREASE"]),
            "ends_at": pick([utc("18:45"), utc("19:30"), utc("19:30")]),
        }

    def _options(self) -> list[OfferOption]:
        pick = self.chance.choice
        power = self._watts(4, 24)
        fields: dict[str, Any] = {
            "power_w": power,
            "price_per_mwh": Decimal(self.chance.randint(-20, 121)),
            "activation_fee": pick([None, None, Decimal(100)]),
            "divisible": pick([True, True, False]),
            "min_power_w": pick([0, 0, MW]),
            "levels_w": pick([None, None, None, sorted({power, power // 2})]),
            "rest_s": pick([None, None, 900]),
            "max_activations_per_day": pick([None, None, 1, 2]),
            "min_duration_s": pick([0, 0, 900, 1800]),
            "max_duration_s": pick([2700, 5400, 5400]),
            "starts_at": utc("18:00") + pick([0, 0, 0, 20]) * MINUTE,
            "ends_at": utc("19:30"),
            "ramp_down_w_per_min": 20 * MW,
            "ramp_up_w_per_min": 20 * MW,
        }
        less = {"option": "less", "power_w": power // 2, "min_power_w": 0, "levels_w": None}
        return [an_option(**fields), an_option(**fields | less)][: pick([1, 2])]

    def _watts(self, least: int = 1, most: int = 24) -> int:
        return self.chance.randint(least, most) * MW // 2

    def play(self) -> None:
        """One day, law by law."""
        moves = self._moves()
        for name in self.chance.choices(list(moves), [weight for weight, _ in moves.values()], k=MOVES):
            moves[name][1]()
            self.day.what_is_over_holds_nothing()
            self.day.an_offer_is_called_once_at_most()
        self.day.teardown()

    def _moves(self) -> dict[str, tuple[float, Callable[[], None]]]:
        day, pick, number = self.day, self.chance.choice, self.chance.randint
        some = [None, *SITES]
        triggers = [ClearingTrigger.GATE_CLOSURE, ClearingTrigger.SHORTFALL]
        return {
            "amend": (0.7, lambda: day.amend(pick(REQUESTS), self._watts(8))),
            "cancel": (0.15, lambda: day.cancel(pick(REQUESTS), True)),
            "award": (3, lambda: day.award_by_hand(pick(REQUESTS), {w: self._watts() for w in SITES if number(0, 1)})),
            "change": (4, lambda: day.change_an_order(pick(SITES), number(0, 5), number(-40, 60), number(0, 9) == 0)),
            "offer": (1, lambda: day.offer(pick(SITES), pick(REQUESTS), self._options(), 300, number(0, 9) == 0)),
            "withdraw": (0.7, lambda: day.withdraw(pick(SITES), pick(REQUESTS))),
            "answer": (4, lambda: day.answer(pick(SITES), number(0, 5), pick(ANSWERS), number(0, 9) == 0)),
            "accept": (3, lambda: day.accept(pick(SITES), number(0, 5), pick([None, self._watts()]))),
            "accept all": (5, lambda: day.everyone_accepts(pick(some))),
            "derate": (2, lambda: day.derate(pick(SITES), number(0, 5), pick([None, 0, self._watts(1, 12)]))),
            "declare": (0.5, lambda: day.declare(pick(SITES), number(14, 40))),
            "repeat": (3, lambda: day.repeat(number(0, 10_000))),
            "out of turn": (1, lambda: day.clear_out_of_turn(pick(REQUESTS), pick(triggers))),
            "timer": (1, lambda: day.fire_a_timer(number(0, 5) == 0)),
            "wait": (7, lambda: day.wait(number(0, 9))),
            "nobody": (1, lambda: day.nobody_owns_the_zone_for_a_while(number(-5, 15))),
            "act": (4, day.the_owner_acts),
            "half": (3, day.the_owner_stops_half_way),
            "two": (1, day.two_owners_act),
        }


@cache
def played(seed: int) -> Player:
    player = Player(seed)
    player.play()
    return player


@pytest.mark.parametrize("seed", SEEDS)
def test_the_laws_hold_all_day(seed: int) -> None:
    played(seed)


def test_the_days_get_far() -> None:
    """Days on which nothing happens would prove nothing."""
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        market = played(seed).day.market
        ledger = market.ledger
        seen.update(f"request {tracked.state}" for tracked in ledger.requests.values())
        seen.update(f"order {tracked.state}" for tracked in ledger.orders.values())
        seen.update(f"offer {tracked.state}" for tracked in ledger.offers.values())
        seen.update(outcome.code for _, outcome in market.log)
    for state in ("request COMPLETED", "request UNMET", "order COMPLETED", "order VOIDED", "offer DELIVERED"):
        assert seen[state] >= 10, seen
    wanted = {"request CANCELLED", "order REFUSED", "order CANCELLED", "order ABORTED", "offer WITHDRAWN"}
    wanted |= {"offer NOT_SELECTED", "offer RELEASED", "offer EXPIRED", "offer REJECTED", "offer DEFAULTED"}
    wanted |= {"TOO_LATE", "TOO_EARLY", "NOT_SHORT", "OVERCOMMITTED", "EXCEEDS_SHORTFALL", "NOT_AS_OFFERED"}
    assert wanted <= set(seen), wanted - set(seen)
