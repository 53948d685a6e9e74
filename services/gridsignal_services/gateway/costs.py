"""What a client's frame costs the process beyond its reading: charged with the reading to whoever sent it.

The log, the reduce and what it announces are worked off later and for all together, so that nobody can be made to wait
for their own there: they wait before their next frames are read. A cost is what the frame contains; it is a little more
than was measured, for who pays too little is waited for by others.
"""

from __future__ import annotations

from gridsignal_protocol.server.events import Event, Join, Look, Publish
from gridsignal_schemas.messages import AlertAck, BaselineDeclaration, FlexOffer, MeterReading, Record
from gridsignal_schemas.records import ROWS
from gridsignal_services.gateway.history import StreamEntry

_RECORD_S = 300e-6
"""To encode a record, log it, reduce it and tell of it."""
_OPTION_S = 40e-6
_POINT_S = 0.5e-6
_TASK_S = 200e-6
"""To begin what goes on by itself and waits for turns of its own."""
_DELIVERY_S = 10e-6
"""To hand a record to a connection: most of it is the system's, for the write."""


def cost_s(events: list[Event]) -> float:
    """Seconds of the loop that what follows from these takes after they came about."""
    return sum(_cost_s(event) for event in events)


def delivery_s(entry: StreamEntry) -> float:
    """Seconds of the loop that a record costs whoever's connection it is handed to.

    Only what is addressed to somebody: what an operator or a feed says is for everybody, and whoever says it has paid
    at their door, by requests and by values (`requests_per_s`, `push_values_per_s`).
    """
    return _DELIVERY_S if ROWS[entry.name].seen_by in ("site", "own") else 0.0


def _cost_s(event: Event) -> float:
    match event:
        case Publish():
            return _RECORD_S * (1 + _caused_by(event.record)) + _size_s(event.record)
        case Join() | Look():
            return _TASK_S
        case _:
            return 0.0  # done when it is decided


def _caused_by(record: Record) -> int:
    """How many records of ours follow: the decision on an offer, an order's next revision."""
    return 0 if isinstance(record, BaselineDeclaration | MeterReading | AlertAck) else 1


def _size_s(record: Record) -> float:
    match record:
        case FlexOffer():
            return _OPTION_S * len(record.options)
        case BaselineDeclaration():
            return _POINT_S * len(record.power_w)
        case _:
            return 0.0
