"""What a contract test waits for, and the order it begins with."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from gridsignal import (
    MW,
    DispatchOrder,
    DispatchRequest,
    Grid,
    Subscription,
)
from tests.builders import a_dispatch_request
from tests.integration.client_stage import Stage
from tests.patience import SOON_S

M = TypeVar("M")


async def hear(signals: Subscription, kind: type[M], **fields: Any) -> M:
    """The first message of this kind with these fields."""
    async with asyncio.timeout(SOON_S):
        async for message in signals:
            if isinstance(message, kind) and all(getattr(message, name) == want for name, want in fields.items()):
                return message
    raise AssertionError("the stream ended")


async def ordered(stage: Stage, grid: Grid, signals: Subscription, **request: Any) -> DispatchOrder:
    """A request, an offer on it, and the order that comes of it."""
    await stage.ask(a_dispatch_request(**request))
    await grid.offer(await hear(signals, DispatchRequest), power_w=12 * MW, price_per_mwh="90", offer_id="ours")
    await stage.order("ours")
    return await hear(signals, DispatchOrder)
