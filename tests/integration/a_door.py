"""A REST door without a server: what is asked of it is asked in its own loop, by code or in HTTP's words."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import httpx2
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from gridsignal_services.access import SIGNAL_READ, Role
from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.alerting.contact import Contacts
from gridsignal_services.alerting.table import AlertTable
from gridsignal_services.bus import Log
from gridsignal_services.bus.codec import Codec
from gridsignal_services.clock import Clock
from gridsignal_services.console.pages import Console
from gridsignal_services.dispatch.archive import Archive
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.dispatch.http import app
from gridsignal_services.dispatch.operations import Overseen
from gridsignal_services.dispatch.position import PositionSeal
from gridsignal_services.dispatch.setpoint_log import SetpointLog
from gridsignal_services.dispatch.shown_heads import ShownHeads
from gridsignal_services.dispatch.tables import MOST
from gridsignal_services.event_log import EventLog
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.registry import Registry, example_registry
from gridsignal_services.replica import Replica
from gridsignal_services.rest.callers import Callers
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.settings import ServerSettings
from gridsignal_services.telemetry import Health
from tests.patience import SOON_S
from tests.unit.ledger.zone import CODEC


class Caller(Protocol):
    """Makes clients that carry a token of somebody."""

    def __call__(self, role: Role, organisation: str, /, *more: str) -> httpx2.AsyncClient:
        """`more` are scopes beside that to read."""


def callers_of(door: Door, directory: Path) -> tuple[FastAPI, Caller]:
    """The door's application, and clients of it that carry a token of somebody."""
    health, issuer, counted = Health(), LocalIssuer.create_or_open(directory / "issuer"), CollectorRegistry()
    health.set_ready(True)
    console = Console(ServerSettings(), lambda: 0.0)
    made = app(door, health, counted, EventLog("dispatch", counted), console, Overseen())

    def client(role: Role, organisation: str, *more: str) -> httpx2.AsyncClient:
        token = issuer.mint(role, organisation, "tests", [SIGNAL_READ, *more], 3600, datetime.now(UTC))
        headers, transport = {"Authorization": f"Bearer {token}"}, httpx2.ASGITransport(made)
        return httpx2.AsyncClient(transport=transport, base_url="http://door", headers=headers, timeout=SOON_S)

    return made, client


def a_door(
    log: Log,
    replica: Replica,
    clock: Clock,
    directory: Path,
    registry: Registry | None = None,
    most: int = MOST,
    codec: Codec = CODEC,
    **limits: Any,
) -> Door:
    """A door to this replica; what its ledgers let go of is kept in the directory."""
    registry, finished = registry or example_registry(), Finished(directory / "finished", most)
    replica.keep(finished)
    verifier, seal = LocalIssuer.create_or_open(directory / "issuer").verifier(), PositionSeal(b"0" * 32, log.epoch)
    readings, archive = ReadingsReader(log, CODEC, registry, lambda: None, directory), Archive(log, CODEC)
    callers = Callers(verifier, RestLimits(**limits), registry)
    heard = AlertTable(), Contacts(), ShownHeads(log, codec, directory)
    return Door(replica, readings, archive, finished, SetpointLog(log, codec), callers, seal, clock, *heard)
