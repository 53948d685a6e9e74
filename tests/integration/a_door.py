"""A REST door without a server: what is asked of it is asked in its own loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.bus import Log
from gridsignal_services.clock import Clock
from gridsignal_services.dispatch.archive import Archive
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.dispatch.position import Seal
from gridsignal_services.dispatch.readings import Readings
from gridsignal_services.registry import Registry, example_registry
from gridsignal_services.replica import Replica
from gridsignal_services.restlimits import RestLimits
from tests.unit.ledger.zone import CODEC


def a_door(
    log: Log, replica: Replica, clock: Clock, directory: Path, registry: Registry | None = None, **limits: Any
) -> Door:
    """A door to this replica; what its ledgers let go of is kept in the directory."""
    registry, finished = registry or example_registry(), Finished(directory / "finished")
    replica.keep(finished)
    verifier, seal = LocalIssuer.create_or_open(directory / "issuer").verifier(), Seal(b"0" * 32, log.epoch)
    readings, archive = Readings(log, CODEC, registry, lambda: None), Archive(log, CODEC)
    return Door(replica, readings, archive, finished, verifier, registry, seal, clock, RestLimits(**limits))
