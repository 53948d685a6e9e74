"""Doors as processes on a cluster, started and killed by the tests."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_services.access import DISPATCH_WRITE, OFFER_WRITE, SIGNAL_READ, Role
from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply
from gridsignal_services.bus.registry import SchemaRegistry, register_all
from tests.load import Place
from tests.patience import LONG_S
from tests.services.process import Process, free_ports

T = TypeVar("T")


class Door:
    """One `gridsignal serve` process, which keeps its port when it is started again."""

    def __init__(
        self,
        kind: str,
        name: str,
        directory: Path,
        brokers: str,
        registry: str,
        prefix: str,
        env: dict[str, str],
        said: threading.Condition | None = None,
    ) -> None:
        (self.port,) = free_ports(1)
        place = ["--directory", str(directory), "--port", str(self.port), "--prefix", prefix]
        cluster = ["--kafka", brokers, "--schema-registry", registry]
        command = [sys.executable, "-m", "gridsignal", "serve", kind, *place, *cluster]
        self.process = Process(command, f"{kind} ready at", directory / f"{name}.out", env, said)
        self._out = directory / f"{name}.out"

    def owned(self) -> list[int]:
        """The partitions it said last that it owns."""
        said = [line for line in self._out.read_text("utf-8").splitlines() if " owns " in line]
        return list(json.loads(said[-1].split("partitions=")[1].split(" service")[0])) if said else []


class Fleet(Place):
    """Two gateways and two dispatch processes, or those that are named, on topics of their own."""

    gateways = ("gateway-1", "gateway-2")

    def __init__(
        self, directory: Path, brokers: Brokers, registry: str, prefix: str, env: dict[str, str] | None = None
    ) -> None:
        self.directory, self._brokers, self._registry, self.prefix = directory, brokers, registry, prefix
        self._env = env or {}
        self._said = threading.Condition()
        self._issuer = LocalIssuer.create_or_open(directory / "issuer")
        self.doors: dict[str, Door] = {}

    @property
    def servers(self) -> str:
        return self._brokers.servers

    def port(self, door: str) -> int:
        return self.doors[door].port

    async def reachable(self, gateway: str) -> None:
        await asyncio.to_thread(self.doors[gateway].process.wait_until_ready)

    def _start(self, name: str) -> None:
        kind = name.partition("-")[0]
        where = (self.directory, self.servers, self._registry, self.prefix, self._env, self._said)
        self.doors[name] = Door(kind, name, *where)

    @classmethod
    @asynccontextmanager
    async def sailing(
        cls,
        directory: Path,
        brokers: Brokers,
        registry: str,
        replication: int,
        env: dict[str, str] | None = None,
        names: Sequence[str] = ("dispatch-1", "dispatch-2", "gateway-1", "gateway-2"),
    ) -> AsyncIterator[Fleet]:
        """All these doors, ready, for as long as the block runs; `env` is added to their environment."""
        prefix = f"test-{datetime.now(UTC):%H%M%S%f}."
        async with administration(brokers) as admin, SchemaRegistry(registry) as schemas:
            await apply(admin, prefix, replication)
            await register_all(schemas, prefix)
        fleet = cls(directory, brokers, registry, prefix, env)
        try:
            starting = [asyncio.to_thread(fleet._start, name) for name in names]
            outcomes = await asyncio.gather(*starting, return_exceptions=True)  # each of them is known, and ended below
            if failed := [outcome for outcome in outcomes if isinstance(outcome, BaseException)]:
                raise BaseExceptionGroup("doors that did not start", failed)
            yield fleet
        except BaseException:
            for name, door in fleet.doors.items():
                print(f"--- {name} said at last:\n{door.process.told()}")
            raise
        finally:
            for door in fleet.doors.values():
                door.process.kill()

    def token(self, role: Role, organisation: str) -> str:
        write = DISPATCH_WRITE if role == "operator" else OFFER_WRITE
        return self._issuer.mint(role, organisation, "tests", [SIGNAL_READ, write], 3600, datetime.now(UTC))

    async def owner(self) -> str:
        """The dispatch process that owns the zone of the stories, once one says so: a group chooses anew at times."""
        partition = partition_of("DE-LU", TOPICS["dispatch"].partitions)
        found = await self._once(lambda: [name for name, door in self.doors.items() if partition in door.owned()])
        return found[0]

    async def owns_all(self, name: str) -> None:
        """Returns once what this process said last is that every partition is its own."""
        await self._once(lambda: self.doors[name].owned() == list(range(TOPICS["dispatch"].partitions)))

    async def _once(self, seen: Callable[[], T]) -> T:
        """What is seen, as soon as it is anything; looked at whenever a door says something."""

        def wait() -> T:
            with self._said:
                return self._said.wait_for(seen, LONG_S)

        found = await asyncio.to_thread(wait)
        assert found, "\n\n".join(f"{name} said: {door.process.told()}" for name, door in self.doors.items())
        return found
