"""The gateway in memory answers as the ledger does: whatever is written, in which order and at which time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_schemas.messages import (
    OrderState,
    ResponseKind,
)
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.values import MAX_ACTIVATION_FEE, MW
from tests.builders import (
    REQUEST_ID,
    a_baseline_declaration,
    a_dispatch_request,
    a_flex_offer,
    a_flexibility,
    an_offer_withdrawal,
    an_option,
    utc,
)
from tests.contract.two_ledgers import OURS, Both
from tests.effort import examples

OTHER = "018f6b3c-7a00-7000-8000-00000000000f"
SECOND = timedelta(seconds=1)

# --- what may happen --------------------------------------------------------------------------------------------

BASE = a_dispatch_request()
MOMENTS = sorted(
    moment + shift
    for moment in (
        BASE.gate_closure_at,
        BASE.decision_deadline,
        BASE.gate_closure_at + timedelta(seconds=BASE.respond_within_s),
        utc("16:00") + timedelta(seconds=BASE.respond_within_s),
        a_flex_offer().expires_at,
        BASE.starts_at,
        BASE.ends_at,
    )
    for shift in (-2 * SECOND, -SECOND, timedelta(), SECOND)
)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"power_w": 28 * MW, "full_activation_s": 900, "ramp_down_w_per_min": 20 * MW},
    {"power_w": 28 * MW + 1, "full_activation_s": 900, "ramp_down_w_per_min": 20 * MW},
    {"activation_fee": "0.0001"},
    {"activation_fee": str(MAX_ACTIVATION_FEE), "power_w": 1, "min_power_w": 0},
    {"price_per_mwh": "120.01"},
    {"price_per_mwh": "-50"},
    {"levels_w": [6 * MW, 12 * MW]},
    {"levels_w": [1 * MW]},
    {"starts_at": utc("19:00"), "ends_at": utc("20:00")},
    {"starts_at": utc("18:00"), "ends_at": utc("2024-05-12T23:00")},
    {"max_duration_s": 0, "min_duration_s": 0},
    {"min_power_w": 13 * MW},
    {"notice_s": 100_000},
]
WHOLES: list[dict[str, Any]] = [
    {},
    {"request_id": None},
    {"request_id": "no-such-request"},
    {"request_id": OTHER},
    {"request_revision": 2},
    {"expires_at": utc("16:00")},
    {"flexibility": a_flexibility(kind="UNKNOWN")},
    {"flexibility": a_flexibility(workload="UNKNOWN")},
    {"flexibility": a_flexibility(rebound=None)},
    {"flexibility": a_flexibility(kind="SHIFT_SITE")},
    {"options": [an_option(), an_option()]},
]
ASKED: list[dict[str, Any]] = [
    {},
    {"zone": "FR"},
    {"direction": "LOAD_INCREASE"},
    {"run_mode": "DRY_RUN", "firmness": "MANDATORY"},
    {"purpose": "UNKNOWN", "visibility": "UNKNOWN"},
    {"min_quantity_w": 13 * MW},
    {"step_w": 5 * MW},
    {"price_cap_per_mwh": "1000001"},
    {"pricing": "REGULATED", "price_cap_per_mwh": None},
    {"gate_closure_at": utc("16:00")},
    {"decision_deadline": BASE.gate_closure_at},
    {"respond_within_s": 86_400},
    {"ends_at": BASE.starts_at},
    {"ends_at": utc("2024-07-12T19:00")},
    {"starts_at": utc("2026-05-12T18:00"), "ends_at": utc("2026-05-12T19:00")},
]
NAMES = ("ours", "second", "third")
POWERS = (0, 1, 5 * MW, 6 * MW, 8 * MW, 12 * MW, 12 * MW + 1)
Act = Callable[[Both], None]


def _offer(name: str, revision: int, option: dict[str, Any], whole: dict[str, Any]) -> Act:
    fields = {"offer_id": name, "revision": revision, "options": [an_option(**option)]} | whole
    return lambda both: both.write(a_flex_offer(**OURS, **fields))


def _answer(kind: ResponseKind, ahead: int, accepted_w: int | None, available_w: int | None, again: bool) -> Act:
    said = {"ahead": ahead, "accepted_w": accepted_w, "available_w": available_w}
    return lambda both: both.answer(kind, again, **said)


def _baseline(power_w: int, resolution_s: int, later_s: int = 0) -> Act:
    starts_at = a_baseline_declaration().starts_at + timedelta(seconds=later_s)
    fields = {"power_w": [power_w] * 96, "resolution_s": resolution_s, "starts_at": starts_at}
    return lambda both: both.write(a_baseline_declaration(**OURS, **fields))


def _award(power_w: int = 12 * MW, name: str = "ours") -> Act:
    return lambda both: both.award(name, power_w)


def _withdraw(name: str, request_id: str | None = REQUEST_ID) -> Act:
    return lambda both: both.write(an_offer_withdrawal(**OURS, offer_id=name, request_id=request_id))


def _reach(when: datetime) -> Act:
    return lambda both: both.reach(when)


def _ask(**changes: Any) -> Act:
    return lambda both: both.ask(**changes)


def _change(**changes: Any) -> Act:
    return lambda both: both.change(**changes)


MOSTLY_FIRST = st.sampled_from([1, 1, 1, 1, 2, 3])
OFFERS: st.SearchStrategy[Act] = st.one_of(
    st.builds(_offer, st.sampled_from(NAMES), MOSTLY_FIRST, st.sampled_from(OPTIONS), st.just({})),
    st.builds(_offer, st.sampled_from(NAMES), MOSTLY_FIRST, st.just({}), st.sampled_from(WHOLES)),
    st.builds(_withdraw, st.sampled_from(NAMES), st.sampled_from([REQUEST_ID, OTHER, "no-such-request", None])),
)
ANSWERS: st.SearchStrategy[Act] = st.builds(
    _answer,
    st.sampled_from(ResponseKind),
    st.sampled_from([0, 0, 0, 0, 1]),
    st.sampled_from([None, None, None, *POWERS]),
    st.sampled_from([None, *POWERS]),
    st.sampled_from([False, False, False, True]),
)
BASELINES = st.builds(
    _baseline, st.sampled_from([12 * MW, 30 * MW, 40 * MW, 60 * MW, 60 * MW + 1]), st.sampled_from([900, 900, 59])
)
OPERATORS_ACTS: st.SearchStrategy[Act] = st.one_of(
    st.builds(_award, st.sampled_from(POWERS[1:]), st.sampled_from(NAMES)),
    st.builds(lambda cap: _ask(revision=2, price_cap_per_mwh=cap), st.sampled_from(["80", "120"])),
    st.just(_ask(request_id=OTHER)),
    st.builds(lambda revision, changes: _ask(revision=revision, **changes), MOSTLY_FIRST, st.sampled_from(ASKED)),
    st.builds(lambda changes: _ask(request_id=OTHER, **changes), st.sampled_from(ASKED)),
    st.builds(lambda when, which: _change(ends_at=when, which=which), st.sampled_from(MOMENTS), st.integers(1, 3)),
    st.just(_change(state=OrderState.CANCELLED)),
    st.just(Both.cancel),
)
ACTS = st.one_of(OFFERS, ANSWERS, ANSWERS, BASELINES, OPERATORS_ACTS, st.builds(_reach, st.sampled_from(MOMENTS)))
_OFFERED: list[Act] = [_offer("ours", 1, {}, {})]
_ORDERED: list[Act] = [*_OFFERED, _award()]
_ACCEPTED: list[Act] = [*_ORDERED, _answer(ResponseKind.ACCEPTED, 0, None, None, False)]
_PASSED_OVER: list[Act] = [*_OFFERED, _offer("second", 1, {}, {}), _award()]
BEGINNINGS: list[list[Act]] = [[], _OFFERED, _ORDERED, _PASSED_OVER, _ACCEPTED]


@given(st.sampled_from(["VOLUNTARY", "MANDATORY"]), st.sampled_from(BEGINNINGS), st.lists(ACTS, max_size=16))
@settings(max_examples=examples(300))
def test_every_write_gets_the_answer_the_ledger_gives(firmness: str, beginning: list[Act], acts: list[Act]) -> None:
    both = Both(firmness)
    for act in [*beginning, *acts]:
        act(both)


_RECEIVED = _answer(ResponseKind.RECEIVED, 0, None, None, False)
CROWDS: dict[str, tuple[list[Act], int, Callable[[int], Act], list[Act]]] = {
    "OFFERS_OF_SITE": ([], LIMITS.offers_of_site + 2, lambda n: _offer(f"offer-{n}", 1, {"power_w": 6 * MW}, {}), []),
    "REVISIONS": ([], LIMITS.revisions_of_offer + 2, lambda n: _offer("ours", n + 1, {}, {}), []),
    "NOTICE": (
        [],
        LIMITS.offers_turned_down + 2,
        lambda n: _offer(f"offer-{n}", 1, {"notice_s": 100_000}, {}),
        [_withdraw("offer-0"), _withdraw(f"offer-{LIMITS.offers_turned_down + 1}"), _withdraw("no-such-offer")],
    ),
    "RESPONSES": (_ORDERED, LIMITS.responses_of_order + 2, lambda n: _RECEIVED, [*_ACCEPTED[2:], *_ACCEPTED[2:]]),
    "BASELINES": ([], LIMITS.baselines_of_site + 4, lambda n: _baseline(30 * MW + n, 900, 86_400 * n), []),
}


def test_an_extension_takes_nothing_that_the_site_has_promised_since() -> None:
    """The first order ends earlier, another takes what it left, and then it is to last longer again."""
    both = Both("VOLUNTARY")
    early, late = utc("18:20"), utc("18:30")
    first = _offer("ours", 1, {"power_w": 12 * MW, "starts_at": utc("18:00")}, {})
    big = {"power_w": 20 * MW, "starts_at": late, "full_activation_s": 900, "ramp_down_w_per_min": 20 * MW}
    acts = [
        _ask(request_id=OTHER, starts_at=late, ends_at=utc("18:45"), power_w=20 * MW),
        first,
        _award(),
        _answer(ResponseKind.ACCEPTED, 0, None, None, False),
        _change(ends_at=early),
        _offer("second", 1, big, {"request_id": OTHER}),
        _award(20 * MW, "second"),
        _change(ends_at=late, which=2),
        _change(ends_at=late + SECOND, which=2),
    ]
    for act in acts:
        act(both)
    assert len(both.real.ledger.orders) == 2
    assert "OVERCOMMITTED" in both.codes


@pytest.mark.parametrize("code", CROWDS)
def test_both_are_full_at_the_same_number(code: str) -> None:
    before, count, act, then = CROWDS[code]
    both = Both("VOLUNTARY")
    for each in [*before, *map(act, range(count)), *then]:
        each(both)
    assert code in both.codes
