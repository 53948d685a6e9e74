"""Within a token's limits: offers, baselines and readings."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.attacks.play import Play
from benchmarks.attacks.sending import send_all, send_on_each, send_on_four
from benchmarks.target import hello, write
from gridsignal_schemas.rules.limits import LIMITS


async def quiet(play: Play) -> str:
    await play.begin()
    await asyncio.sleep(play.left_s)
    return "nothing"


async def tiny_offers(play: Play) -> str:
    """Thousands of offers on one request, whose gate closes in the middle."""
    async with play.target.desk("supplier-one") as desk:
        asked = await _ask(desk, gate_s=max(4.0, play.seconds / 2) + 3)
    return await _offers(play, asked, lambda: _offer(asked, options=1))


async def costly_offers(play: Play) -> str:
    """Offers of eight options behind thousands of fine baselines."""
    async with play.target.desk("supplier-one") as desk:
        asked = await _ask(desk, gate_s=play.seconds + 60)
    async with play.target.socket("acme-ai") as connection:
        await hello(connection, "fra-1")
        bodies = ({"frame": "baseline", "body": _fine_baseline(asked, number)} for number in range(3000))
        await send_all(connection, bodies, until=time.monotonic() + 10)
    async with play.target.desk("supplier-one") as desk:
        asked = await _ask(desk, gate_s=play.seconds + 60)
    return await _offers(play, asked, lambda: _offer(asked, options=8))


async def lost_offers(play: Play) -> str:
    """Offers for requests that do not exist."""
    nothing = {"request_id": "nothing", "starts_at": _at(7200), "ends_at": _at(9000), "revision": 1}
    return await _offers(play, nothing, lambda: _offer(nothing, options=8))


async def amendments(play: Play) -> str:
    """Offers of eight options, each amended as often as it may be: every one is decided on and announced anew."""
    return await send_on_each(play, [_amended(asked) for asked in await _ask_often(play, 4)])


def _amended(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in iter(lambda: uuid.uuid4().hex, None):
        for revision in range(1, LIMITS.revisions_of_offer + 1):
            yield {"frame": "offer", "offer_id": name, "body": _offer(asked, options=8) | {"revision": revision}}


async def withdrawals(play: Play) -> str:
    """Offers that are withdrawn as soon as they are made: four records for two small frames."""
    return await send_on_each(play, [_withdrawn(asked) for asked in await _ask_often(play, 4)])


def _withdrawn(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in iter(lambda: uuid.uuid4().hex, None):
        yield {"frame": "offer", "offer_id": name, "body": _offer(asked, options=1)}
        yield {"frame": "withdraw", "offer_id": name}


async def _ask_often(play: Play, count: int) -> list[dict[str, Any]]:
    async with play.target.desk("supplier-one") as desk:
        return [await _ask(desk, gate_s=play.seconds + 60) for _ in range(count)]


async def baselines(play: Play) -> str:
    """Declarations that each start a minute later, as fast as they are taken."""
    start = {"starts_at": _at(7200), "ends_at": _at(9000)}
    numbers = itertools.count()
    return await send_on_four(play, lambda: {"frame": "baseline", "body": _fine_baseline(start, next(numbers))})


async def readings(play: Play) -> str:
    """Overlapping readings, as fast as they are taken."""
    numbers = itertools.count()

    def reading() -> dict[str, Any]:
        number = next(numbers)
        starts_at = datetime.now(UTC) - timedelta(hours=2, milliseconds=number)
        body = {"meter": f"m{number % 500}", "point": "CONNECTION", "import_w": number, "export_w": 0, "quality": "OK"}
        body |= {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=1)).isoformat()}
        return {"frame": "reading", "body": body | {"seq": number}}

    return await send_on_four(play, reading)


async def _offers(play: Play, asked: dict[str, Any], make: Callable[[], dict[str, Any]]) -> str:
    return await send_on_four(play, lambda: {"frame": "offer", "offer_id": uuid.uuid4().hex + "x" * 32, "body": make()})


def asking(gate_s: float) -> dict[str, Any]:
    """A request whose gate closes so many seconds from now."""
    return {
        "zone": "DE-LU",
        "direction": "LOAD_DECREASE",
        "power_w": 12_000_000,
        "starts_at": _at(gate_s + 4000),
        "ends_at": _at(gate_s + 6700),
        "gate_closure_at": _at(gate_s),
        "decision_deadline": _at(gate_s + 120),
        "respond_within_s": 60,
    }


def _at(seconds: float) -> str:
    return (datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)).isoformat()


async def _ask(desk: Any, gate_s: float) -> dict[str, Any]:
    answer = await write(desk, "/v1/requests", asking(gate_s))
    if answer.status_code != 201:
        raise SystemExit(f"expected a request, got {answer.status_code} {answer.text:.300}")
    asked: dict[str, Any] = answer.json()["request"]
    return asked


def _offer(asked: dict[str, Any], options: int) -> dict[str, Any]:
    option = {
        "power_w": 2,
        "starts_at": asked["starts_at"],
        "ends_at": asked["ends_at"],
        "price_per_mwh": "90",
        "notice_s": 60,
        "full_activation_s": 600,
        "ramp_down_w_per_min": 2_000_000,
        "ramp_up_w_per_min": 2_000_000,
        "min_duration_s": 900,
        "max_duration_s": 3600,
        "divisible": True,
        "min_power_w": 1,
    }
    return {
        "revision": 1,
        "request_id": asked["request_id"],
        "request_revision": asked["revision"],
        "options": [option | {"option": f"o{number}"} for number in range(options)],
        "flexibility": {"kind": "SHED", "workload": "TRAINING"},
        "expires_at": asked["ends_at"],
    }


def _fine_baseline(asked: dict[str, Any], number: int) -> dict[str, Any]:
    start = datetime.fromisoformat(asked["starts_at"]) + timedelta(minutes=number)
    return {
        "starts_at": start.isoformat(),
        "resolution_s": 60,
        "power_w": [30_000_000 + number] * 700,
        "method": "fine",
    }
