"""Two gateways on one log, for all games of a test: each begins where the log ends by then."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

from gridsignal_services.gateway.service import Gateway
from gridsignal_services.gateway.settings import GatewaySettings
from tests.integration.gateway_stand import Stand
from tests.patience import SOON_S

LIMITS: dict[str, Any] = {
    "ring_records": 6,  # a client that is further behind reads the log
    "offer_window": 2,
    "organisation_writes_per_s": 500,  # now and then one is refused for now
    "organisation_write_burst": 2,
}


class TwoGateways:
    """What runs beside the games, in a loop of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self.revisions: dict[str, Iterator[int]] = defaultdict(lambda: count(1))
        self.offers = count(1)
        self.gateways: list[Gateway] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    async def open(self) -> None:
        self.stand = await self._open.enter_async_context(Stand.open(self._directory, **LIMITS))
        settings = GatewaySettings(data_directory=self._directory / "gateway", port=0, **LIMITS)
        self._second = self.stand.another(settings)
        self.gateways = [self.stand.gateway, self._second]
        self._running = asyncio.create_task(self._second.run())
        async with asyncio.timeout(SOON_S):
            await self._second.ready()
        await self.stand.register()

    async def close(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])
        await self._open.aclose()

    def end(self) -> None:
        self._runner.run(self.close())
        self._runner.close()

    async def settle(self) -> None:
        """Returns when both gateways have done all that they were asked."""
        async with asyncio.timeout(SOON_S):
            for gateway in self.gateways:
                conversations = gateway._conversations
                while True:
                    if conversations._tasks:
                        await asyncio.wait(list(conversations._tasks))
                    elif conversations.turns._round is None and await gateway.at_rest():
                        break
                    else:
                        await asyncio.sleep(0)
