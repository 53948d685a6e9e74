"""What an operator has taken back of an order, nobody else is called for, unless a person clears the request again."""

from __future__ import annotations

from typing import Any

import pytest

from gridsignal_schemas.messages import OrderState
from gridsignal_schemas.values import MW
from tests.builders import REQUEST_ID, utc
from tests.shown_book import shown_book
from tests.unit.ledger.market import OPERATORS_NAME, Market

BACK: dict[str, tuple[str, dict[str, Any]]] = {
    "cancelled": ("17:30", {"state": OrderState.CANCELLED}),
    "released before it began": ("17:30", {"ends_at": utc("18:00")}),
    "to end earlier": ("17:30", {"ends_at": utc("18:30")}),
    "released while it runs": ("18:10", {"ends_at": utc("18:15")}),
}
"""When, and with which change."""
SHORT: dict[str, dict[str, Any]] = {
    "derated": {"response": "UNAVAILABLE", "available_w": 2 * MW},
    "broken off": {"response": "UNAVAILABLE", "available_w": 0},
}


def two_of_four() -> Market:
    """acme and volt give 6 MW each of the 12 that are asked for until 20:00; hyper and delta stand by with 12 each."""
    market = Market("acme", "volt", "hyper", "delta", ends_at=utc("20:00"))
    long = {"ends_at": utc("20:00"), "max_duration_s": 7200, "min_duration_s": 0, "expires_at": utc("20:00")}
    for who, power, price in (("acme", 6, "70"), ("volt", 6, "80"), ("hyper", 12, "90"), ("delta", 12, "95")):
        market.offer(who, power * MW, price, **long)
    market.close()
    for who in ("acme", "volt"):
        market.answer(who)
    market.act()
    return market


def codes(market: Market, who: str) -> list[str]:
    (line,) = [line for line in shown_book(market.ledger.book, REQUEST_ID).offers if line.participant == who]
    return line.codes


@pytest.mark.parametrize("short", SHORT)
@pytest.mark.parametrize("back", BACK)
def test_another_shortfall_orders_its_own_part_and_no_more(back: str, short: str) -> None:
    market = two_of_four()
    when, change = BACK[back]
    market.run_until(utc(when))
    assert market.change("acme", **change).accepted
    market.run_until(utc("18:20") if when == "18:10" else utc("17:40"))
    assert codes(market, "hyper") == []  # what was asked for is covered no longer, and nobody is called for it
    said = dict(SHORT[short])
    assert market.answer("volt", said.pop("response"), **said).accepted
    market.act()
    left = 2 * MW if short == "derated" else 0
    assert market.ordered()["hyper"] == 6 * MW - left


@pytest.mark.parametrize("back", BACK)
def test_a_person_who_clears_again_orders_all_that_is_lacking(back: str) -> None:
    market = two_of_four()
    when, change = BACK[back]
    market.run_until(utc(when))
    assert market.change("acme", **change).accepted
    market.run_until(utc("18:20") if when == "18:10" else utc("17:40"))
    assert market.answer("volt", "UNAVAILABLE", available_w=2 * MW).accepted
    market.act()
    before = market.ordered()["hyper"]
    clearing = market.by_hand()
    assert (before, market.add(clearing, OPERATORS_NAME).accepted) == (4 * MW, True)
    wanted = [] if back == "to end earlier" else [6 * MW]  # until 18:30 nothing is lacking, and an order begins now
    assert [award.power_w for award in clearing.awards] == wanted
    market.act()
    assert market.ordered().get("delta", 0) == sum(wanted)


def test_what_a_person_has_ordered_again_is_ordered_again_like_any_other_part() -> None:
    market = two_of_four()
    market.run_until(utc("17:30"))
    assert market.change("acme", state=OrderState.CANCELLED).accepted
    assert market.add(market.by_hand(), OPERATORS_NAME).accepted
    market.act()
    assert market.answer("hyper", "REFUSED").accepted
    market.act()
    assert market.ordered() == {"volt": 6 * MW, "delta": 6 * MW}


def test_what_is_extended_again_is_not_taken_back() -> None:
    market = two_of_four()
    market.run_until(utc("17:30"))
    assert market.change("acme", ends_at=utc("18:30")).accepted
    assert market.change("acme", ends_at=utc("20:00")).accepted
    assert market.answer("acme", "UNAVAILABLE", available_w=0).accepted
    market.act()
    assert market.ordered() == {"volt": 6 * MW, "hyper": 6 * MW}


def test_who_is_not_called_for_what_was_taken_back_is_told_so() -> None:
    market = two_of_four()
    market.run_until(utc("17:30"))
    assert market.change("acme", state=OrderState.CANCELLED).accepted
    market.act()
    assert market.answer("volt", "UNAVAILABLE", available_w=6 * MW - 1).accepted
    market.act()
    assert (market.ordered()["hyper"], codes(market, "delta")) == (1, ["TAKEN_BACK"])
