"""The dispatch door as a service: uvicorn, the owner of the zones, and the readings, around one replica."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from gridsignal_schemas.messages import BaselineDeclaration, FlexOffer, OfferWithdrawal, OrderResponse, Record
from gridsignal_services.access.signer import Signer
from gridsignal_services.access.tokens import Verifier
from gridsignal_services.alerting.contact import BySite, Contacts
from gridsignal_services.alerting.reader import AlertsReader
from gridsignal_services.audit.keeping import TreeKeeper
from gridsignal_services.bus import Log, LogRecord, LogUnavailable
from gridsignal_services.bus.codec import Codec
from gridsignal_services.checkpoints.keeping import Checkpoints
from gridsignal_services.clock import MACHINE_TIME, Clock, Time, grid_time
from gridsignal_services.console.pages import Console
from gridsignal_services.dispatch.archive import Archive
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.dispatch.http import app
from gridsignal_services.dispatch.operations import Overseen
from gridsignal_services.dispatch.position import KEY_BYTES, PositionSeal
from gridsignal_services.dispatch.registration import register
from gridsignal_services.dispatch.setpoint_log import SetpointLog
from gridsignal_services.dispatch.shown_heads import ShownHeads
from gridsignal_services.event_log import EventLog
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.ops import Watched
from gridsignal_services.owning.heads import Heads
from gridsignal_services.owning.owner import Owner
from gridsignal_services.owning.solver import solver_of
from gridsignal_services.owning.telling import Telling
from gridsignal_services.registry import Registry
from gridsignal_services.replica import Replica
from gridsignal_services.rest.asgi import HttpServer
from gridsignal_services.rest.callers import Callers
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.settings import ServerSettings
from gridsignal_services.supervised import supervise
from gridsignal_services.telemetry import Health

_RETRY_S = 1.0


class Dispatch:
    """The operators' door. Bounded: connections, requests and bodies by RestLimits."""

    def __init__(
        self,
        log: Log,
        codec: Codec,
        replica: Replica,
        verifier: Verifier,
        registry: Registry,
        settings: ServerSettings,
        clock: Clock,
        *,
        time: Time = MACHINE_TIME,
    ) -> None:
        self.health = Health()
        self._log, self._replica, self._registry, self._clock = log, replica, registry, clock
        own = replica.checkpoints.directory if replica.checkpoints is not None else settings.directory
        self._readings = ReadingsReader(log, codec, registry, lambda: replica.grid, own, time.steady_s)
        self._contacts = Contacts()
        self._alerts = AlertsReader(log, codec, lambda: replica.grid, self._hear, time.steady_s)
        self._readings.listen(self._hear)
        replica.listen(self._reduced)
        self._heads = _heads(settings, log, time)
        self._solver = solver_of(settings.solver_limit_s)
        self._tree = TreeKeeper(log, replica, settings.directory) if self._heads is not None else None
        seal = PositionSeal(_position_key(settings.directory), log.epoch)
        archive, limits = Archive(log, codec), RestLimits.of(settings, "GRIDSIGNAL_DISPATCH_")
        self._finished = _finished(replica.checkpoints, settings.directory)
        replica.keep(self._finished)
        callers = Callers(verifier, limits, registry, time)
        shown = ShownHeads(log, codec, settings.directory, settings.proofs_after_s)
        setpoints, heard = SetpointLog(log, codec), (self._alerts.table, self._contacts, shown)
        self._door = Door(replica, self._readings, archive, self._finished, setpoints, callers, seal, clock, *heard)
        self._counted = CollectorRegistry()
        events = EventLog("dispatch", self._counted, time.steady_s)
        Telling(replica, self._readings, self._owned, events, self._counted)
        self.console = Console(settings, time.steady_s)
        self.overseen = Overseen()
        """What is shown to whoever runs the doors."""
        pages = app(self._door, self.health, self._counted, events, self.console, self.overseen)
        self._server = HttpServer(pages, settings, settings.dispatch_port, limits, now_s=time.steady_s)
        self._ready, self._entitled = asyncio.Event(), asyncio.Event()
        self._owner: Owner | None = None

    def _owned(self) -> Collection[int]:
        return self._owner.partitions if self._owner is not None else ()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, once it listens."""
        return self._server.address

    @property
    def watched(self) -> Watched:
        """What the operations port shows of it."""
        readers = self._readings.following, self._alerts.alerts, self._alerts.words
        followed = (self._replica.headway, *(each.headway for each in readers))
        return Watched("dispatch", self.health, self._counted, followed=followed)

    async def at_rest(self) -> bool:
        """Whether its owner has done all that the ledgers ask for by now, and waits; and what meters and sites said was
        read."""
        if self._owner is None or not self._owner.at_rest:
            return False
        return await self._readings.following.at_rest() and await self._alerts.at_rest()

    async def ready(self) -> None:
        """Returns once requests are answered."""
        await self._ready.wait()

    async def run(self) -> None:
        """Serves until `drain`: health at once, operations when caught up. Raises OSError for a taken port."""
        self._server.listen()
        election = self._log.stand("dispatch")
        try:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(self._server.serve())
                more = self._heads, self._readings, self._finished, self._solver
                self._owner = Owner(self._replica, self._clock, election, *more)
                lasting = [supervise("readings", self._read_meters()), supervise("owner", self._owner.run())]
                lasting.append(supervise("alerts", self._read_alerts()))
                if self._tree is not None:
                    lasting.append(supervise("tree", self._tree.run()))
                beside = [tasks.create_task(work) for work in (*lasting, self._become_ready())]
                await serving
                await self._owner.cover()
                await self._replica.finish()  # before what is over is closed, for it has to settle
                for task in beside:
                    task.cancel()
        finally:
            self.health.set_ready(False, "stopped")
            await election.aclose()
            self._readings.meters.close()
            await self._finished.aclose()

    async def _read_meters(self) -> None:
        await self._replica.caught_up()  # it knows the grid's clock, by which readings are judged
        await self._readings.following.run()

    def _hear(self, said: BySite, logged_at: datetime) -> None:
        entry = self._registry.sites.get(said.site)
        heartbeat_s = None if entry is None or entry.failsafe is None else entry.failsafe.heartbeat_s
        self._contacts.hear(said.participant, said.site, logged_at, heartbeat_s)

    def _reduced(self, logged: LogRecord, record: Record, outcome: Outcome) -> None:
        if outcome.accepted and isinstance(record, FlexOffer | OfferWithdrawal | OrderResponse | BaselineDeclaration):
            self._hear(record, grid_time(self._replica.grid, logged.appended_us))

    async def _read_alerts(self) -> None:
        await self._replica.caught_up()
        await self._alerts.run()

    async def _become_ready(self) -> None:
        await self._replica.caught_up()
        await self._readings.following.caught_up()
        await self._alerts.caught_up()
        await self._register()
        self.health.set_ready(True)
        self._ready.set()
        await supervise("registration", self._keep_registered())

    async def _register(self) -> None:
        while True:
            try:
                return await register(self._replica, self._registry)
            except LogUnavailable as away:
                self.health.set_ready(False, f"the log is away: {away}")
                await asyncio.sleep(_RETRY_S)

    def entitle(self, registry: Registry) -> None:
        """Takes a registry, changed or not: who asks is looked up in it from now on; its sites and areas go onto the
        log."""
        self._registry = registry
        self._door.entitle(registry)
        self._readings.entitle(registry)
        self._entitled.set()

    def renew_certificate(self) -> None:
        """Reads its certificate again, for connections that come from now on."""
        self._server.renew_certificate()

    async def _keep_registered(self) -> None:
        while True:
            await self._entitled.wait()
            self._entitled.clear()
            await self._register()

    async def drain(self) -> None:
        """Takes no more requests, answers those under way; `run` then returns."""
        self.health.set_ready(False, "stopping")
        self._server.stop()


def _heads(settings: ServerSettings, log: Log, time: Time) -> Heads | None:
    """What signs tree heads, where they are wanted. Raises as Signer.create_or_open does."""
    if not settings.heads_every_s:
        return None
    signer = Signer.create_or_open(settings.directory)
    after_clearing_s = min(settings.heads_every_s, settings.heads_after_clearing_s)
    return Heads(log.epoch, signer, settings.heads_every_s, after_clearing_s, time.wall)


def _finished(checkpoints: Checkpoints | None, directory: Path) -> Finished:
    """Beside the checkpoints, where they are kept: it lasts as they do."""
    if checkpoints is None:
        return Finished(directory)
    with contextlib.suppress(OSError):  # such as a folder of that name: it is in nobody's way
        (directory / "finished.db").unlink(missing_ok=True)  # of the version before, or of a start without them
    return Finished(checkpoints.directory, stamp=checkpoints.stamp)


def _position_key(directory: Path) -> bytes:
    """The key that seals positions; made at first use, readable by its owner alone.

    Raises OSError for a file that holds none.
    """
    path = directory / "position.key"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = directory / f"position.key.{secrets.token_hex(4)}"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(secrets.token_bytes(KEY_BYTES))
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)  # two first starts at once: the first key stays, and it is always whole
        draft.unlink()
    if len(key := path.read_bytes()) != KEY_BYTES:
        message = f"{path}: expected a key of {KEY_BYTES} bytes, got {len(key)}; without the file a new one is made"
        raise OSError(f"{message}, and positions of before are refused")
    return key
