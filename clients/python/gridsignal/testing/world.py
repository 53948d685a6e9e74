"""The fake grid's log and its rules: what was published, who may see it, what a position means. No I/O.

It knows identities (the same offer again gets the first receipt, another one with the same id is a conflict), cursors
and snapshots as the real gateway does, and its ledger the rules and deadlines. It knows no merit order: a test awards
what it wants to.

Bounded: by the test that fills it. When full: it grows. Conflates: nothing.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gridsignal.testing.ledger import Ledger
from gridsignal.testing.promises import Promises
from gridsignal.testing.site import FakeSite
from gridsignal_protocol.server.subscription import Want
from gridsignal_protocol.setpoints import Setpoints, is_over
from gridsignal_schemas.catalog import TOPIC_OF_RECORD
from gridsignal_schemas.frames import Detail, Receipt, State
from gridsignal_schemas.messages import (
    BaselineDeclaration,
    CarbonIntensity,
    DispatchOrder,
    DispatchRequest,
    FlexOffer,
    GridAlert,
    OfferWithdrawal,
    OrderResponse,
    Record,
    RegulationSetpoint,
    RequestCancellation,
    Settlement,
    SpotPrice,
)
from gridsignal_schemas.records import facet_of, field_of, identity_of, row_of
from gridsignal_schemas.rules.lifecycle import OFFER_STANDS
from gridsignal_schemas.rules.offers import can_see
from gridsignal_schemas.rules.vintages import Logged

_CIRCUMSTANCES = {"actor", "at"}
"""Of an answer: who gave it and when, which differs after a restart."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How the fake answers a write that the test wants refused."""

    code: str
    retriable: bool = False
    retry_after_ms: int = 0
    details: tuple[Detail, ...] = ()


@dataclass(slots=True)
class World:
    """One log for all connections of a fake grid."""

    now: Callable[[], datetime]
    participant: str
    sites: Mapping[str, FakeSite]
    """The participant's."""
    published: list[Record] = field(default_factory=list)
    series: list[Logged] = field(default_factory=list)
    """Prices and carbon among them, and when each was published."""
    written: list[Record] = field(default_factory=list)
    """What data centers wrote and the log took, in order."""
    setpoints: Setpoints = field(default_factory=Setpoints)
    refusals: deque[Refusal] = field(default_factory=deque)
    """Answers for the next writes."""
    epoch: int = 1
    kept_from: int = 0
    """Positions before it are gone: retention has passed them."""
    ledger: Ledger = field(init=False)
    _receipts: dict[tuple[str, ...], Receipt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ledger = Ledger(Promises(self.sites, self.participant, self.now()))

    # --- signals -------------------------------------------------------------------------------------------------

    def publish(self, record: Record) -> bool:
        """Puts a record on the log; False for a setpoint that comes too late to be delivered."""
        if isinstance(record, RegulationSetpoint) and not self.setpoints.take(record, self.now()):
            return False
        self.published.append(record)
        if isinstance(record, SpotPrice | CarbonIntensity):
            self.series.append(Logged(self.now(), record))
        self.ledger.published(record)
        return True

    def cursor(self, position: int) -> str:
        """The position as clients see it."""
        return f"fake-{self.epoch}-{position}"

    def position(self, cursor: str) -> int | str:
        """The position of a cursor, or why there is none."""
        match cursor.split("-"):
            case ["fake", epoch, position] if epoch.isdigit() and position.isdigit():
                if int(epoch) != self.epoch:
                    return "epoch_changed"
                if int(position) > len(self.published):
                    return "cursor_unknown"
                return int(position) if int(position) >= self.kept_from else "cursor_expired"
        return "cursor_unknown"

    def after(self, position: int, want: Want, site: str | None) -> list[tuple[int, Record]]:
        """The records of a subscription from a position on, each with the position after it."""
        return [
            (at + 1, record)
            for at, record in enumerate(self.published[position:], start=position)
            if self.wanted(record, want, site)
        ]

    def wanted(self, record: Record, want: Want, site: str | None) -> bool:
        """Whether a subscription sees a record: the right stream, its filter, and nobody else's order or decision."""
        if TOPIC_OF_RECORD[record.record_name].stream != want.stream or not row_of(record).is_delivered:
            return False
        if isinstance(record, RegulationSetpoint) and is_over(record, self.now()):
            return False
        if row_of(record).seen_by in ("site", "own"):
            is_theirs = field_of(record, "site") in ({site} if site else self.sites)
            return is_theirs and (want.facets is None or facet_of(record) in want.facets)
        if want.zones is not None and field_of(record, "zone") not in want.zones:
            return False
        if isinstance(record, DispatchRequest):
            return can_see(record, self.participant)
        return want.facets is None or facet_of(record) in want.facets

    def snapshot(self, want: Want, site: str | None) -> list[Record]:
        """The current state: the newest of each series, open alerts, open requests, orders as they stand."""
        self.ledger.pass_time(self.now())
        newest: dict[str, Record] = {}
        for _, record in self.after(0, want, site):
            match record:
                case SpotPrice() | CarbonIntensity() | GridAlert() | RegulationSetpoint():
                    newest[identity_of(record) or ""] = record
                case DispatchRequest():
                    newest[record.request_id] = record
                case RequestCancellation():
                    newest.pop(record.request_id, None)
                case DispatchOrder():
                    newest[record.order_id] = self.ledger.orders[record.order_id].present
                case Settlement():
                    newest.pop(record.settlement_id, None)
                    newest[record.settlement_id] = record
        orders = [key for key, record in newest.items() if isinstance(record, DispatchOrder)]
        over = [key for key in orders if self.ledger.orders[key].over]
        over += [key for key in newest if key in self.ledger.asked and not self.ledger.concerns(key)]
        ended = [
            key
            for key, record in newest.items()
            if isinstance(record, GridAlert) and record.ends_at is not None and record.ends_at <= self.now()
        ]
        return [record for key, record in newest.items() if key not in {*over, *ended}]

    # --- writes --------------------------------------------------------------------------------------------------

    def write(self, record: Record) -> tuple[Receipt, bool] | Refusal:
        """Takes a record: its receipt, and whether it is a repeat; or the refusal."""
        identity = _identity(record)
        digest = hashlib.sha256(record.model_dump_json(exclude=_CIRCUMSTANCES).encode()).hexdigest()
        first = self._receipts.get(identity) if identity else None
        if first is not None:
            same = first.sha256 == digest or isinstance(record, OfferWithdrawal)
            return (first, True) if same else Refusal("conflict")
        if self.refusals:
            return self.refusals.popleft()
        self.ledger.pass_time(self.now())
        if isinstance(record, BaselineDeclaration) and (receipt := self.ledger.promises.receipt_of(record)) is not None:
            return receipt, True
        if faults := self.ledger.faults(record, self.now()):
            return Refusal(faults[0].code.lower(), details=tuple(faults))
        receipt = Receipt(
            offer_id=getattr(record, "offer_id", None),
            revision=record.revision if isinstance(record, FlexOffer) else None,
            response_id=getattr(record, "response_id", None),
            sha256=digest,
            received_at=self.now(),
        )
        self.written.append(record)
        self.ledger.written(record, receipt)
        if identity:
            self._receipts[identity] = receipt
        return receipt, False

    def offer_state(self, offer_id: str, *, live: bool = False) -> State | None:
        """Where an offer stands, as a query is answered; with the offer itself where what is live was asked for."""
        standing = self.ledger.offers.get(offer_id)
        if standing is None:
            return None
        return State(
            state=standing.state,
            revision=standing.offer.revision,
            receipt=self._receipts.get(_identity(standing.offer) or ()),
            codes=None if live else list(standing.codes) or None,
            power_w=standing.awarded_w if live else None,
            body=standing.offer.model_dump(mode="json", exclude_none=True) if live else None,
        )

    def order_state(self, order_id: str, *, live: bool = False) -> State | None:
        """Where an order stands; likewise."""
        held = self.ledger.orders.get(order_id)
        if held is None:
            return None
        if not live:
            return State(state=held.state, revision=held.order.revision)
        return State(
            state=held.state,
            revision=held.order.revision,
            power_w=None if held.accepted_w is None else held.power_w,
            answered=[str(kind) for kind in held.answered],
            body=held.present.model_dump(mode="json", exclude_none=True),
        )

    def live(self, site: str | None) -> tuple[list[str], list[str]]:
        """The offers and the orders that are not over, of one site or of all."""
        self.ledger.pass_time(self.now())
        offers = [
            name
            for name, standing in self.ledger.offers.items()
            if standing.state in OFFER_STANDS
            and site in (None, standing.offer.site)
            and not (standing.offer.request_id and self.ledger.asked[standing.offer.request_id].over)
        ]
        held = self.ledger.orders.items()
        return offers, [name for name, of in held if not of.over and site in (None, of.order.site)]

    def response_state(self, response_id: str) -> State | None:
        """Where a response stands."""
        for record in self.written:
            if isinstance(record, OrderResponse) and record.response_id == response_id:
                receipt = self._receipts.get(_identity(record) or ())
                return State(state=record.response, revision=record.revision, receipt=receipt)
        return None


def _identity(record: Record) -> tuple[str, ...] | None:
    identity = identity_of(record)
    if identity is None:
        return None
    return (identity, str(record.revision)) if isinstance(record, FlexOffer) else (identity,)
