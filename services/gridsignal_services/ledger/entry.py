"""What goes into the reduce and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from gridsignal_schemas.frames import Detail, Receipt
from gridsignal_schemas.messages import Record
from gridsignal_schemas.records import field_of
from gridsignal_schemas.rules.lifecycle import OfferState
from gridsignal_services.access import NOBODY, Audience
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import sha256_of
from gridsignal_services.bus.publish import principal_of
from gridsignal_services.ledger.tree import leaf_of


@dataclass(frozen=True, slots=True)
class Entry:
    """One decoded record of a dispatch partition."""

    partition: int
    offset: int
    appended_us: int
    """Append time by the log's clock, microseconds since 1970; grid time is the ledger's business."""
    record: Record
    sha256: str
    """Of the Avro value without framing."""
    principal: str
    """Who caused it, as its producer wrote: "participant:acme", "operator:tso", "service:dispatch"."""
    leaf: bytes
    """The hash of its leaf in the partition's tree."""


def entry_of(logged: LogRecord, record: Record) -> Entry:
    """What was decoded of a record, and where it lies."""
    return Entry(
        partition=logged.partition,
        offset=logged.offset,
        appended_us=logged.appended_us,
        record=record,
        sha256=sha256_of(logged.value),
        principal=principal_of(logged),
        leaf=leaf_of(logged),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the reduce made of one entry."""

    accepted: bool
    """True: it changed the state, or announces a change; only such records are ever delivered."""
    faults: tuple[Detail, ...] = ()
    """Why it was not accepted, or for an offer that is in the log but breaks rules: each broken rule."""
    receipt: Receipt | None = None
    """For offers and responses whose identity is settled (first or repeated)."""
    duplicate: bool = False
    """The same content was logged before; `receipt` is the first one's."""
    audience: Audience = NOBODY
    """Who may see it, where it is delivered to anyone."""

    @property
    def code(self) -> str:
        """The first fault's code; empty where there is none."""
        return self.faults[0].code if self.faults else ""


class SetAside(NamedTuple):
    """All that is kept of an offer that was rejected and that no book lists: enough to answer a repeat."""

    digest: str
    received_at: datetime
    codes: tuple[str, ...]
    """The rules it broke."""


class OfferStanding(NamedTuple):
    """Where an offer stands."""

    state: OfferState
    revision: int
    receipt: Receipt
    codes: tuple[str, ...]


def receipt_of(
    now: datetime,
    entry: Entry,
    *,
    offer_id: str | None = None,
    revision: int | None = None,
    response_id: str | None = None,
) -> Receipt:
    """Proof that the log holds this entry; `now` is the log clock at it, in grid time."""
    return Receipt(offer_id=offer_id, revision=revision, response_id=response_id, sha256=entry.sha256, received_at=now)


def audience_at_site(record: Record) -> Audience:
    """The participant at that site alone."""
    return Audience(
        participants=frozenset({field_of(record, "participant")}), sites=frozenset({field_of(record, "site")})
    )
