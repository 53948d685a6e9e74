"""An owner without a loop: it makes a clearing as soon as one waits, before anything else that is due."""

from __future__ import annotations

from datetime import datetime

from gridsignal_schemas.messages import Record
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.owning.best import Solver
from gridsignal_services.owning.due import next_step, next_undecided


def next_records(ledger: Ledger, now: datetime, solver: Solver | None = None) -> list[Record]:
    """What it appends now; empty when there is nothing to do before `next_due`. Raises Undecidable."""
    step = next_step(ledger, now)
    if not step.is_telling and (undecided := next_undecided(ledger, now)) is not None:
        return [undecided.decided(ledger.book, solver=solver)]
    return step.records
