"""What grows old, to the second: tokens, quotas and silences, with clocks that are moved by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from joserfc.jwk import ECKey
from starlette.requests import Request

from gridsignal_services.access import SIGNAL_READ
from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.access.refused_tokens import RefusedTokens
from gridsignal_services.clock import Time
from gridsignal_services.registry import example_registry
from gridsignal_services.rest.callers import Callers
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.rest.problems import Problem
from gridsignal_services.telemetry import configure_logging
from gridsignal_services.testing import ManualClock, seconds_of, time_of

NOON = datetime(2024, 5, 12, 12, tzinfo=UTC)


class Asking:
    """One operator at one door; wall time and steady time are moved apart."""

    def __init__(self, **limits: float) -> None:
        self.wall, self.steady = ManualClock(NOON), ManualClock(NOON)
        issuer = LocalIssuer(ECKey.generate_key("P-256", auto_kid=True))
        token = issuer.mint("operator", "tso-north", "tests", [SIGNAL_READ], 60, NOON)
        self._headers = [(b"authorization", f"Bearer {token}".encode())]
        time = Time(self.wall.now, seconds_of(self.steady))
        self._door = Callers(issuer.verifier(), RestLimits(**limits), example_registry(), time)  # type: ignore[arg-type]  # of the limits named below

    def asks(self) -> tuple[int, str]:
        """The status, and after how many seconds to come again."""
        request = Request({"type": "http", "headers": self._headers, "state": {}})
        try:
            self._door.principal(request, SIGNAL_READ)
        except Problem as refusal:
            return refusal.status, refusal.headers.get("Retry-After", "")
        return 200, ""


def test_a_quota_comes_back_after_exactly_as_many_seconds_as_it_says() -> None:
    one = Asking(requests_per_s=0.1, request_burst=3)
    assert [one.asks() for _ in range(4)] == [(200, ""), (200, ""), (200, ""), (429, "10")]
    one.steady.move_to(NOON + timedelta(seconds=10, milliseconds=-1))
    assert one.asks() == (429, "1")
    one.steady.move_to(NOON + timedelta(seconds=10))
    assert [one.asks() for _ in range(2)] == [(200, ""), (429, "10")]


@pytest.mark.parametrize("by_s", [50, -50])
def test_setting_the_machine_s_clock_fills_no_quota(by_s: int) -> None:
    one = Asking(requests_per_s=0.1, request_burst=1)
    assert one.asks() == (200, "")
    one.wall.move_to(NOON + timedelta(seconds=by_s))
    assert one.asks() == (429, "10")


def test_a_token_is_good_until_the_second_in_which_it_expires() -> None:
    one = Asking()
    told = []
    for age_s in (0, 59.999, 60):
        one.wall.move_to(NOON + timedelta(seconds=age_s))
        told.append(one.asks()[0])
    assert told == [200, 200, 401]


def test_however_long_the_machine_runs_a_token_does_not_age_by_steady_time() -> None:
    one = Asking()
    one.steady.move_to(NOON + timedelta(days=400))
    assert one.asks() == (200, "")


def test_refused_tokens_are_told_at_once_and_then_with_their_number_each_ten_seconds() -> None:
    lines, clock = StringIO(), ManualClock(NOON)
    configure_logging(json=True, level="INFO", stream=lines)
    refused = RefusedTokens(seconds_of(clock))
    for wait_ms in (0, 5000, 4999, 1, 9999, 1):
        clock.move_to(clock.now() + timedelta(milliseconds=wait_ms))
        refused("expired")
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(line["reason"], line["times"]) for line in told] == [("expired", 1), ("expired", 3), ("expired", 2)]


def test_one_hand_moves_all_times() -> None:
    clock = ManualClock(NOON)
    time = time_of(clock)
    clock.move_to(NOON + timedelta(seconds=90))
    assert (time.wall(), time.wall_s(), time.steady_s()) == (NOON + timedelta(seconds=90), 1_715_515_290, 90.0)
