"""Within a token's limits: questions, frames and bodies that cost more than they say."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
import uuid
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.attacks.play import Play
from benchmarks.attacks.sending import send_all, send_on_four
from benchmarks.attacks.writes import asking
from benchmarks.target import hello, write
from gridsignal_schemas.messages.signals import PriceProduct


async def broken_writes(play: Play) -> str:
    """64 KiB offers with thousands of unknown fields: refused, but read."""
    body = {f"field{number}": 1 for number in range(4000)}
    return await send_on_four(play, lambda: {"frame": "offer", "offer_id": uuid.uuid4().hex, "body": body})


async def long_queries(play: Play) -> str:
    """Questions about hundreds of ids."""
    ids = [uuid.uuid4().hex for _ in range(256)]
    return await send_on_four(play, lambda: {"frame": "query", "offer_ids": ids, "order_ids": ids, "response_ids": ids})


async def many_filters(play: Play) -> str:
    """Subscriptions that all differ."""
    numbers = itertools.count()

    def subscription() -> dict[str, Any]:
        number = next(numbers)
        products = [str(product) for at, product in enumerate(PriceProduct) if number + 1 >> at & 1]
        zones = [["DE-LU"], ["FR"], ["DE-LU", "FR"]][number % 3]
        return {"frame": "subscribe", "stream": "prices", "filter": {"zones": zones, "products": products or None}}

    async with AsyncExitStack() as open_sockets:
        connections = [await open_sockets.enter_async_context(play.target.socket("acme-ai")) for _ in range(40)]
        for connection in connections:
            await hello(connection)
        await play.begin()
        until = time.monotonic() + play.left_s
        counts = await asyncio.gather(
            *(send_all(each, itertools.islice(iter(subscription, None), 300), until) for each in connections)
        )
        await asyncio.sleep(max(0.0, play.left_s))
    return f"{sum(count.get('subscribed', 0) for count in counts)} subscriptions"


async def pushes(play: Play) -> str:
    """Curves of 3,000 points, which are taken, and of 10,000, which are not; each under a name of its own."""
    start, numbers = _month_ago(), itertools.count()
    codes: dict[int, int] = {}

    async def push(desk: Any) -> None:
        while play.left_s > 0:
            number = next(numbers)
            prices = ["5"] * 10_000 if number % 4 == 3 else ["50.0001"] * 3_000
            body: dict[str, Any] = {"zone": "DE-LU", "dataset": f"D{number}", "product": "DAY_AHEAD", "currency": "EUR"}
            body |= {"starts_at": start.isoformat(), "resolution_s": 300, "prices_per_mwh": prices}
            with contextlib.suppress(Exception):
                code = (await write(desk, "/v1/signals/prices", body)).status_code
                codes[code] = codes.get(code, 0) + 1

    async with play.target.desk("supplier-one", play.target.ingest) as desk:
        await play.begin()
        await asyncio.gather(*(push(desk) for _ in range(4)))
    return _counted(codes)


async def wide_questions(play: Play) -> str:
    """A month of five-minute prices, asked for by several at once."""
    start = _month_ago()
    async with play.target.desk("supplier-one", play.target.ingest) as desk:
        for day in range(24):
            body = {
                "zone": "DE-LU",
                "dataset": "M5",
                "product": "DAY_AHEAD",
                "currency": "EUR",
                "resolution_s": 300,
            }
            body |= {"starts_at": (start + timedelta(days=day)).isoformat(), "prices_per_mwh": ["50.0001"] * 288}
            await write(desk, "/v1/signals/prices", body)
    ask = {"zone": "DE-LU", "from": start.isoformat(), "to": (start + timedelta(days=24)).isoformat()}
    return await _questions(play, "/v1/prices", ask, "supplier-one")


async def long_lists(play: Play) -> str:
    """Every list an operator may read, as long as they come, one after the other."""
    async with play.target.desk("supplier-one") as desk:
        asked = [await write(desk, "/v1/requests", asking(play.seconds + 600)) for _ in range(100)]
    ids = [answer.json()["request"]["request_id"] for answer in asked if answer.status_code == 201]
    pages = itertools.cycle(
        ["/v1/requests?limit=500", "/v1/orders?limit=500", "/v1/sites", *(f"/v1/requests/{name}/book" for name in ids)]
    )
    codes: dict[int, int] = {}

    async def read(desk: Any) -> None:
        while play.left_s > 0:
            with contextlib.suppress(Exception):
                code = (await desk.get(next(pages))).status_code
                codes[code] = codes.get(code, 0) + 1

    async with play.target.desk("supplier-one") as desk:
        await play.begin()
        await asyncio.gather(*(read(desk) for _ in range(6)))
    return _counted(codes)


async def same_keys(play: Play) -> str:
    """Bodies of thousands of keys, one of them twice."""
    text = "{" + ",".join(f'"k{number}":1' for number in range(6000)) + ',"k1":2}'
    codes: dict[int, int] = {}

    async def knock(desk: Any) -> None:
        while play.left_s > 0:
            with contextlib.suppress(Exception):
                headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
                code = (await desk.post("/v1/requests", content=text, headers=headers)).status_code
                codes[code] = codes.get(code, 0) + 1

    async with play.target.desk("supplier-one") as desk:
        await play.begin()
        await asyncio.gather(*(knock(desk) for _ in range(8)))
    return _counted(codes)


async def _questions(play: Play, path: str, parameters: dict[str, str], organisation: str) -> str:
    codes: dict[int, int] = {}

    async def ask(desk: Any) -> None:
        while play.left_s > 0:
            with contextlib.suppress(Exception):
                code = (await desk.get(path, params=parameters)).status_code
                codes[code] = codes.get(code, 0) + 1

    async with play.target.desk(organisation) as desk:
        await play.begin()
        await asyncio.gather(*(ask(desk) for _ in range(8)))
    return _counted(codes)


def _counted(codes: dict[int, int]) -> str:
    return ", ".join(f"{count} x {code}" for code, count in sorted(codes.items())) or "no answer"


def _month_ago() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=35)
