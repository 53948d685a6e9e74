"""Who has no offer on a request learns nothing of those who have: whether it was met, by whom, or for how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from gridsignal_schemas.values import MW
from gridsignal_services.access import SIGNAL_READ, Principal
from tests.builders import OPERATOR, utc
from tests.unit.ledger.market import OPERATORS_NAME, Market

Life = Mapping[str, Callable[[Market], Any]]
"""What happens, and when."""
MOMENTS = ("16:45", "17:20", "18:10", "18:46")
"""Before the gate, once nothing is decided any more, within the period, after it."""
VIEWERS: tuple[tuple[Any, str], ...] = (("participant", "volt"), ("operator", "tso-south"))


def offers(power_w: int) -> Callable[[Market], Any]:
    return lambda market: market.offer("acme", power_w)


def answers(response: str) -> Callable[[Market], Any]:
    return lambda market: market.answer("acme", response)


def decided(market: Market) -> None:
    """By hand, before the gate: everybody may know that."""
    assert market.add(market.by_hand(), OPERATORS_NAME).accepted


AT_THE_GATE: dict[str, Life] = {
    "nobody offers": {},
    "met": {"16:10": offers(12 * MW), "17:01": answers("ACCEPTED")},
    "met in part": {"16:10": offers(4 * MW), "17:01": answers("ACCEPTED")},
    "refused": {"16:10": offers(12 * MW), "17:01": answers("REFUSED")},
    "never answered": {"16:10": offers(12 * MW)},
    "taken back": {"16:10": offers(12 * MW), "16:40": lambda market: market.withdraw("acme")},
    "aborted": {"16:10": offers(12 * MW), "17:01": answers("ACCEPTED"), "18:05": answers("UNAVAILABLE")},
}
BEFORE_IT: dict[str, Life] = {
    "met": {"16:10": offers(12 * MW), "16:30": decided, "16:31": answers("ACCEPTED")},
    "met in part": {"16:10": offers(4 * MW), "16:30": decided, "16:31": answers("ACCEPTED")},
    "refused": {"16:10": offers(12 * MW), "16:30": decided, "16:31": answers("REFUSED")},
    "never answered": {"16:10": offers(12 * MW), "16:30": decided},
}
PAIRS = [
    pytest.param(lives[one], lives[other], id=f"{one}, {other}")
    for lives in (AT_THE_GATE, BEFORE_IT)
    for one, other in pairwise(lives)
]


def told(life: Life) -> list[tuple[str, object]]:
    """What somebody without an offer is told at each moment: the state, and the answer to one that comes late."""
    market, said = Market("acme", "volt"), list[tuple[str, object]]()
    for at in sorted({*life, *MOMENTS}):
        market.run_until(utc(at))
        if at in life:
            life[at](market)
            market.act()
            continue
        said += [(f"{at} {who}", seen(market, role, who)) for role, who in VIEWERS]
        if at > "17" or market.state != "OPEN":
            late = f"late-{at.replace(':', '')}"
            assert market.offer("volt", offer_id=late, expires_at=utc("20:00")).accepted
            said.append((f"{at} late", [record.model_dump_json() for record in market.act()]))
    return said


def seen(market: Market, role: Any, who: str) -> list[str]:
    viewer = Principal(role, who, "tests", frozenset({SIGNAL_READ}), datetime(2030, 1, 1, tzinfo=UTC))
    return [record.model_dump_json() for record, _ in market.ledger.current(viewer)]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_what_becomes_of_a_request_is_between_its_operator_and_those_who_offered(one: Life, other: Life) -> None:
    assert told(one) == told(other)


def test_its_operator_and_those_who_offered_are_told() -> None:
    market = Market("acme", "volt")
    market.offer("acme", 4 * MW, "80")
    market.offer("volt", 12 * MW, "90")
    market.close()
    for role, who in (("operator", OPERATOR), ("participant", "acme"), ("participant", "volt")):
        assert '"request_id"' in "".join(seen(market, role, who))
    assert seen(market, "participant", "newcomer") == []
