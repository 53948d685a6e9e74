"""A site of the fake grid's participant, as the registry and its baseline describe it. A decision: no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.messages import BaselineDeclaration, SiteRegistration
from gridsignal_schemas.rules.baselines import Declared
from gridsignal_schemas.values import MW

_DAY = timedelta(days=1)
_DAYS = 1000  # of one declaration


@dataclass(frozen=True, slots=True)
class FakeSite:
    """What the grid knows of a site: how much it can give follows from it, as with a real one.

    Less: `baseline_w - minimum_load_w`. More: `capacity_w - baseline_w`. Each less what is ordered already.
    """

    zone: str = "DE-LU"
    capacity_w: int = 60 * MW
    """What the connection carries: no baseline and no reading is above it."""
    minimum_load_w: int = 12 * MW
    """What can't be shed."""
    baseline_w: int | None = 40 * MW
    """Declared for a thousand days before the test begins. None: the program declares it, before the request."""

    def registration(self, name: str, participant: str) -> SiteRegistration:
        """The site as the ledger knows it."""
        return SiteRegistration(
            zone=self.zone,
            site=name,
            participant=participant,
            capacity_w=self.capacity_w,
            minimum_load_w=self.minimum_load_w,
            external_ids={},
            revision=1,
        )

    def declared(self, name: str, participant: str, now: datetime) -> Iterator[Declared]:
        """The baseline that was there before."""
        if self.baseline_w is None:
            return
        baseline = BaselineDeclaration(
            zone=self.zone,
            participant=participant,
            site=name,
            starts_at=now - _DAY,
            resolution_s=_DAY // timedelta(seconds=1),
            power_w=[self.baseline_w] * _DAYS,
            method="flat",
        )
        yield Declared.of(-1, baseline, Receipt(sha256="0" * 64, received_at=now))
