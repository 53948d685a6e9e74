"""Which event a record of the dispatch stream is, once it is reduced: a row of event_log.toml with its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from gridsignal_schemas.messages import Record, TimerFired
from gridsignal_schemas.values import rfc3339
from gridsignal_services.event_log import EVENTS, EventRow
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.reduce import Ledger

_ROWS: Mapping[tuple[str, str | None], str] = {
    (row.of, row.timer): name for name, row in EVENTS.items() if row.of is not None
}
_OF_OTHERS = ("request_id", "participant", "site")
"""What the order of a timer says, and the timer does not."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One event that a record says."""

    name: str
    by: str
    """Who caused it, as the record's producer wrote."""
    fields: Mapping[str, object]
    """As a line of the event log has them."""
    why: str = ""
    """For who reads the log: what was expected and got, or why the state is what it is. It may have figures."""

    def names(self, subject: str) -> bool:
        """Whether it is about the thing of this id."""
        return subject in self.fields.values()


def happened(ledger: Ledger, record: Record, outcome: Outcome, by: str) -> Happened | None:
    """The event; None for records that only keep the log going. `ledger` stands right after the record."""
    zone = getattr(record, "zone", None)
    timer = record.timer.value if isinstance(record, TimerFired) else None
    if not outcome.accepted:
        if outcome.code in ("NOT_SET", "TOO_EARLY"):  # the services' own, repeated
            return None
        known = {"zone": zone, "record": record.record_name, "code": outcome.code}
        named = {field: getattr(record, field, None) for field in EVENTS["ignored"].fields if field not in known}
        return Happened("ignored", by, _plain(known | named), outcome.faults[0].message if outcome.faults else "")
    name = _ROWS.get((record.record_name, timer))
    if name is None:
        return None
    row = EVENTS[name]
    of = record.subject_id if isinstance(record, TimerFired) else None
    fields = {"zone": zone} | {field: _field(ledger, of, record, field) for field in row.fields}
    state, why = _standing(ledger, row, fields)
    return Happened(name, by, _plain(fields | {"state": state}), why)


def _field(ledger: Ledger, subject: str | None, record: Record, field: str) -> object:
    """`subject` is what a timer is about: an order, or a request."""
    if subject is None:
        return getattr(record, field, None)
    order = ledger.orders.get(subject)
    if order is not None and field in ("order_id", *_OF_OTHERS):
        return getattr(order.order, field)
    if field == "request_id":
        return subject if subject in ledger.requests else None
    if field == "order_id":
        return None if subject in ledger.requests else subject
    return getattr(record, field, None)


def _standing(ledger: Ledger, row: EventRow, fields: Mapping[str, Any]) -> tuple[object, str]:
    """Where what it is about stands now, and why as far as its history says."""
    if row.about == "offer":
        standing = ledger.offer_state(fields["participant"], fields["offer_id"])
        return (None, "") if standing is None else (standing.state, ", ".join(standing.codes))
    order = ledger.orders.get(fields.get("order_id") or "") if row.about == "order" else None
    if order is not None:
        return order.state, order.history[-1].reason if order.history else ""
    request = ledger.requests.get(fields.get("request_id") or "") if row.about is not None else None
    return (None, "") if request is None else (request.state, "")


def _plain(fields: Mapping[str, object]) -> dict[str, object]:
    """As JSON has them; what there is not is left out."""
    return {name: _as_json(value) for name, value in fields.items() if value is not None}


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Enum):
        return value.value
    return [_as_json(each) for each in value] if isinstance(value, list | tuple) else value
