"""What a program iterates over that regulates: where its site is to be now, and its base once the signal is lost."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from gridsignal.clock import Clock
from gridsignal.subscription import Subscription
from gridsignal_protocol.client.regulation import Followed, Signal
from gridsignal_schemas.messages import DispatchOrder, RegulationSetpoint

_NEVER = datetime.max.replace(tzinfo=UTC)


class Regulation:
    """An async iterator of what a site follows under one order; also an async context manager that ends it early."""

    def __init__(self, signals: Subscription, order: DispatchOrder, clock: Clock) -> None:
        self._signals, self._clock = signals, clock
        self._signal, self._ends_at = Signal(order.order_id), order.ends_at

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Followed:
        while True:
            while (message := self._signals.waiting()) is not None:
                if isinstance(message, RegulationSetpoint):
                    self._signal.take(message, self._clock.now())
            now = self._clock.now()
            if self._ends_at is not None and now >= self._ends_at:
                await self.aclose()
                raise StopAsyncIteration
            if (followed := self._signal.next(now)) is not None:
                return followed
            await self._something(min(filter(None, (self._signal.due_at, self._ends_at)), default=_NEVER))

    async def _something(self, due_at: datetime) -> None:
        """Returns when more has come, or it is time. Raises what ended the subscription."""
        waits = [asyncio.ensure_future(self._signals.more()), asyncio.ensure_future(self._clock.sleep_until(due_at))]
        try:
            ended, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        for wait in ended:
            wait.result()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends it."""
        await self._signals.aclose()
