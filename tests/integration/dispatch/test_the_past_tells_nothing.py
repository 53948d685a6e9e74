"""What somebody asks about the past is answered the same, and refused the same, whatever became of others' orders."""

from __future__ import annotations

import asyncio
import re
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gridsignal_schemas.messages import OrderState
from gridsignal_schemas.values import MW
from gridsignal_services.access import Role
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.reduce import Ledger
from tests.builders import a_dispatch_request, utc
from tests.integration.dispatch.test_the_past import asking, left_by
from tests.unit.ledger.market import Market

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OWNER, OTHER = "tso-north", "supplier-one"
OTHERS: list[tuple[Role, str]] = [("operator", OTHER), ("participant", "acme"), ("participant", "hyper")]
"""Volt is the rival, and whose requests it is busy on knows of it."""
ASKED = {"one": (18, OWNER), "two": (19, OTHER), "three": (20, OWNER)}
"""When each request begins, and whose it is."""
_OPAQUE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Rival:
    """What becomes of volt's orders on the owner's requests."""

    extended: int = 0
    """Minutes."""
    losing: int = 0
    """Offers that are too dear, each amended once."""
    is_cancelled: bool = False


RIVALS = [Rival(extended=75, losing=3), Rival(extended=70, is_cancelled=True)]


def lived(rival: Rival, until: datetime | None = None) -> tuple[Ledger, list[Book], datetime]:
    """An evening of three requests that acme and volt serve, and what was let go of a day later, or by then."""
    market = Market(kept=12 * HOUR)
    for who in ("acme", "volt", "hyper"):
        market.site(who)
    for name, (hour, operator) in ASKED.items():
        starts_at = utc(f"{hour}:00")
        times = {"gate_closure_at": starts_at - HOUR, "decision_deadline": starts_at - 50 * MINUTE}
        period: dict[str, Any] = {"starts_at": starts_at, "ends_at": starts_at + 45 * MINUTE}
        record = a_dispatch_request(request_id=name, operator=operator, power_w=9 * MW, **times, **period)
        assert market.add(record, f"operator:{operator}").accepted
        for who, megawatts in (("acme", 4), ("volt", 5)):
            fields = {"offer_id": f"{who}-{name}", "request_id": name, "expires_at": starts_at}
            fields |= {"starts_at": starts_at, "ends_at": starts_at + 4 * HOUR, "max_duration_s": 4 * 3600}
            assert market.offer(who, megawatts * MW, **fields).accepted
    for name, (hour, operator) in ASKED.items():
        starts_at = utc(f"{hour}:00")
        period = {"starts_at": starts_at, "ends_at": starts_at + 45 * MINUTE}
        for number in range(rival.losing if operator == OWNER else 0):
            fields = {"offer_id": f"dear-{name}-{number}", "request_id": name, "expires_at": starts_at, **period}
            assert market.offer("volt", MW, "99", **fields).accepted
            assert market.offer("volt", MW, "98", **fields, revision=2).accepted
        market.run_until(starts_at - HOUR)
        orders = [order.order for order in market.ledger.orders.values() if order.order.request_id == name]
        assert {order.participant for order in orders} == {"acme", "volt"}
        for order in orders:
            assert market.reply(order, "ACCEPTED").accepted
        if operator == OWNER:
            _be_busy(market, next(order for order in orders if order.participant == "volt"), rival)
    if until is not None:
        market.run_until(utc("23:00"))
        market.now = until
        for _ in ASKED:
            market.cancel("none")  # whatever comes next
        return market.ledger, market.ledger.forgotten, market.now
    gone = left_by(market)
    assert len(gone) == len(ASKED)
    return market.ledger, gone, market.now


def _be_busy(market: Market, order: Any, rival: Rival) -> None:
    if rival.extended:
        assert market.change(order, ends_at=order.ends_at + rival.extended * MINUTE).accepted
    if rival.is_cancelled:
        assert market.change(order, state=OrderState.CANCELLED, reason="the line is back").accepted


def questions() -> list[str]:
    found = [f"requests/{name}" for name in ASKED]
    found += [f"{path}?request_id={name}" for name in ASKED for path in ("orders", "offers")]
    for since, until in (("18:00", "23:00"), ("18:50", "23:00"), ("18:50", "19:30"), ("21:00", "23:00")):
        period = f"from=2024-05-12T{since}:00Z&to=2024-05-12T{until}:00Z"
        found += [f"{path}{period}" for path in ("requests?", "orders?", "totals?", "readings?site=volt-1&")]
    return [f"/v1/{path}" for path in found]


async def told(rival: Rival) -> list[tuple[int, str, str, int, str]]:
    """All answers, of doors whose answers have room for so many requests."""
    ledger, gone, now = lived(rival)
    found = []
    for most in (1, 2):
        with tempfile.TemporaryDirectory() as directory:
            async with asking(ledger, gone, now, Path(directory), most) as client:
                for role, name in OTHERS:
                    async with client(role, name) as caller:
                        for path in questions():
                            answer = await caller.get(path)
                            found.append((most, name, path, answer.status_code, _OPAQUE.sub("*", answer.text)))
    return found


@pytest.fixture(scope="module")
def still() -> list[tuple[int, str, str, int, str]]:
    return asyncio.run(told(Rival()))


@pytest.mark.parametrize("rival", RIVALS)
def test_no_bound_and_no_answer_moves_with_what_a_rival_does(still: Any, rival: Rival) -> None:
    assert {code for *_, code, _ in still} >= {200, 404, 422}
    busy = asyncio.run(told(rival))
    assert [pair for pair in zip(still, busy, strict=True) if pair[0] != pair[1]] == []


async def test_whose_orders_they_are_finds_them_as_far_as_they_reach(tmp_path: Path) -> None:
    ledger, gone, now = lived(RIVALS[0])
    period = "from=2024-05-12T21:00:00Z&to=2024-05-12T23:00:00Z"
    async with asking(ledger, gone, now, tmp_path, 1) as client:
        whose: list[tuple[Role, str]] = [("operator", OWNER), ("participant", "volt")]
        for role, name in whose:
            async with client(role, name) as caller:
                found = (await caller.get(f"/v1/orders?{period}")).json()["orders"]
                assert [(each["order"]["participant"], each["order"]["request_id"]) for each in found] == [
                    ("volt", "three")
                ]


async def listed_next_morning(rival: Rival, directory: Path) -> dict[str, list[str]]:
    """What each finds without a period once the last request, but no order that was extended, is over for so long."""
    ledger, _, _ = lived(rival, until=utc("20:45") + 12 * HOUR + 5 * MINUTE)
    found = {}
    async with asking(ledger, [], utc("20:45") + 12 * HOUR + 5 * MINUTE, directory) as client:
        whose: list[tuple[Role, str]] = [*OTHERS, ("operator", OWNER), ("participant", "volt")]
        for role, name in whose:
            async with client(role, name) as caller:
                requests = (await caller.get("/v1/requests")).json()["requests"]
                found[name] = [each["request"]["request_id"] for each in requests]
    return found


async def test_a_list_without_a_period_says_nothing_of_how_long_others_orders_run(tmp_path: Path) -> None:
    still = await listed_next_morning(Rival(), tmp_path / "still")
    busy = await listed_next_morning(RIVALS[0], tmp_path / "busy")
    assert {name: busy[name] for _, name in OTHERS} == {name: still[name] for _, name in OTHERS}
    assert busy[OWNER] == busy["volt"] == ["three"]
