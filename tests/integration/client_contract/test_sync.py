"""A program without async lives through an order: the same at both gateways."""

from __future__ import annotations

import asyncio
from typing import Any

import gridsignal
from gridsignal import MW, DispatchOrder, DispatchRequest, Message
from tests.builders import a_dispatch_request
from tests.integration.client_stage import Stage
from tests.patience import SOON_S


def hear(signals: gridsignal.sync.Subscription, kind: type[Message]) -> Any:
    return next(message for message in signals if isinstance(message, kind))


async def test_a_program_without_async_lives_through_an_order(stage: Stage) -> None:
    url = f"ws://127.0.0.1:{stage.relay.port}"
    away = asyncio.to_thread  # the gateway runs in the test's loop
    connection = gridsignal.sync.connect(url, token=stage.token(), site="fra-1", outbox=":memory:", clock=stage.clock)
    grid = await away(connection.__enter__)
    try:
        signals = await away(grid.subscribe, "dispatch", timeout=SOON_S)
        await stage.ask(a_dispatch_request())
        request = await away(hear, signals, DispatchRequest)
        receipt = await away(grid.offer, request, 12 * MW, "90", offer_id="ours")
        (offered,) = await away(grid.offers)
        await stage.order("ours")
        order = await away(hear, signals, DispatchOrder)
        await away(grid.accept, order)
        await stage.reach(order.starts_at)
        await away(grid.report, order, "STARTED")
        (standing,) = await away(grid.orders)
    finally:
        await away(connection.__exit__, None, None, None)
    assert (offered.offer.offer_id, offered.receipt) == ("ours", receipt)
    assert (standing.state, standing.accepted_w) == ("ACTIVE", order.power_w)
