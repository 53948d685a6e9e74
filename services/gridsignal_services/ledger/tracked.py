"""Requests, offers and orders as the ledger keeps them: their current revision, and where they stand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.messages import (
    Clearing,
    DispatchOrder,
    DispatchRequest,
    DisputeRejected,
    FlexOffer,
    OfferOption,
    OrderResponse,
    OrderState,
    QuantityKind,
    ResponseKind,
    RuleName,
    Settlement,
    SettlementDispute,
    SettlementStatus,
)
from gridsignal_schemas.rules.headroom import block_of
from gridsignal_schemas.rules.lifecycle import OfferState, RequestState, SettlementState
from gridsignal_schemas.rules.profile import Block
from gridsignal_services.access import Audience
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.needs import Needs
from gridsignal_services.settlement.periods import Netting

Turn = tuple[bool, int, str]
"""Of overlapping orders the smaller comes first."""


class Ahead(NamedTuple):
    """What an order takes of a deviation that others share."""

    turn: Turn
    block: Block
    """Its power is by how much the site is to differ, or the limit."""
    meaning: QuantityKind
    netting: Netting | None
    """Where its rule has energies netted; None where its request brought no rule."""


@dataclass(slots=True)
class TrackedRequest:
    """A request and what hangs on it."""

    request: DispatchRequest
    """The current revision."""
    place: int
    """Offset of the first revision: baselines logged later do not count."""
    digests: dict[int, str]
    """Each revision's sha256, to tell a repeat from a conflict."""
    receipts: dict[int, Receipt]
    audience: Audience
    """Everyone who could see any revision."""
    state: RequestState = RequestState.OPEN
    offers: list[OfferKey] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    clearings: list[Clearing] = field(default_factory=list)
    cancelled: tuple[str, Receipt] | None = None
    """The sha256 and receipt of its cancellation."""
    offers_of: Counter[str] = field(default_factory=Counter)
    """How many offers that each participant has sent were good when they came."""
    offers_of_site: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many of each participant's site."""
    called_of: Counter[str] = field(default_factory=Counter)
    """How many it has made of each participant's standing offers, rejected ones that are listed included."""
    turned_down: Counter[str] = field(default_factory=Counter)
    """How many rejected ones of each participant are listed beside them."""
    wants_clearing: bool = False
    """The gate has closed, or an order fell short: the next valid clearing answers it, so of two only one counts."""


@dataclass(slots=True)
class TrackedOffer:
    """An offer's current revision and where it stands."""

    offer: FlexOffer
    place: int
    """Offset of the current revision: its place in time."""
    receipt: Receipt
    digests: dict[int, tuple[str, datetime]]
    """Each revision's sha256, and when it was received."""
    timer_id: str
    """Its name among the timers."""
    request_revision: int | None
    """The request's revision it was last found valid for."""
    withdrawn: Receipt | None = None
    """The receipt of its withdrawal."""
    state: OfferState = OfferState.LIVE
    codes: tuple[str, ...] = ()
    option: str | None = None
    power_w: int | None = None
    rank: int | None = None
    order_id: str | None = None
    needs: Needs | None = None
    """Of one that was good when it came: what an amendment of its request is held against."""

    def option_named(self, name: str) -> OfferOption | None:
        """The option of that name."""
        return next((option for option in self.offer.options if option.option == name), None)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an order's history."""

    at: datetime
    state: OrderState
    actor: str
    reason_code: str = ""
    reason: str = ""
    principal: str = ""
    """Who acted, by the token; the actor is what they call themselves."""


@dataclass(slots=True)
class TrackedOrder:
    """An order's current revision and where it stands."""

    order: DispatchOrder
    offer_key: OfferKey | None
    clearing_id: str
    state: OrderState = OrderState.ISSUED
    issued_place: int = 0
    """Offset of the clearing."""
    accepted_w: int | None = None
    accepted_place: int | None = None
    """Offset of the acceptance."""
    answered: dict[ResponseKind, None] = field(default_factory=dict)  # what its site has said, each kind once
    changed: Receipt | None = None
    """The receipt of the operator's latest change."""
    history: list[Step] = field(default_factory=list)
    response_ids: list[str] = field(default_factory=list)
    """The answers it has had."""
    taken_back: Block | None = None
    """What its operator has let go of, by an earlier end or altogether: nobody is called for that unless by hand."""
    derated: list[tuple[datetime, int]] = field(default_factory=list)
    """Until when how much was ordered, before its site said that less is possible; oldest first, in watts."""
    capacity_w: int | None = None
    """The most that its site's connection carried from when it was issued to its end, as the log has it."""
    ahead: list[Ahead] = field(default_factory=list)
    """What orders that the book has let go of take of the same deviation, each in its turn."""

    @property
    def responses(self) -> int:
        """How many answers it has had."""
        return len(self.response_ids)

    @property
    def turn(self) -> Turn:
        """Overlapping orders share one deviation in this order: that of their acceptance."""
        return self.accepted_place is None, self.accepted_place or 0, self.order.order_id

    @property
    def power_w(self) -> int:
        """What is ordered now, in watts: what was accepted once it was accepted."""
        return self.order.power_w if self.accepted_w is None else min(self.accepted_w, self.order.power_w)

    def block(self) -> Block:
        """The order as power over time, as it stands now."""
        return block_of(self)

    def derate(self, now: datetime, available_w: int) -> None:
        """Less is ordered from now on; what was ordered until now stays."""
        if self.order.starts_at < now:
            self.derated.append((now, self.power_w))
        self.accepted_w = available_w

    def asked(self) -> list[Block]:
        """What the site was to differ by at each moment of its period, or where it is a limit, that."""
        limit_at = self.order.limit_at
        blocks = ((block, limit_at(block.power_w)) for block in self.blocks())
        return [block if limit_w is None else block._replace(power_w=limit_w) for block, limit_w in blocks]

    def blocks(self) -> list[Block]:
        """What was ordered at each moment of its period: a derating counts from when it was said."""
        since, ends_at, power_w = self.block()
        blocks = []
        for until, before_w in [*self.derated, (ends_at, power_w)]:
            until = min(until, ends_at)
            if since < until:
                blocks.append(Block(since, until, before_w))
                since = until
        return blocks


@dataclass(slots=True)
class TrackedDispute:
    """What a participant holds to be wrong with a version of a settlement."""

    dispute: SettlementDispute
    receipt: Receipt
    answer: DisputeRejected | None = None
    """Its operator's; a new version answers it, too."""


class SettledOrder(NamedTuple):
    """What the records about a settlement are held against: the order may have left the book before them."""

    zone: str
    request_id: str
    participant: str
    site: str
    rule: RuleName
    """The rule of its request."""
    dispute_window: timedelta
    corrected_until: datetime
    """Until when a later reading gives another version."""
    revision: int
    """The order's, or of a settlement that comes back its version: its timers have it."""

    @classmethod
    def named_by(cls, settlement: Settlement, dispute_window: timedelta, corrected_until: datetime) -> SettledOrder:
        """The order of a version, for one that comes back."""
        return cls(
            settlement.zone,
            settlement.request_id,
            settlement.participant,
            settlement.site,
            settlement.rule,
            dispute_window,
            corrected_until,
            settlement.version,
        )


@dataclass(slots=True)
class TrackedSettlement:
    """What an order came to so far, and what is still to come."""

    order_id: str
    of: SettledOrder
    ended_at: datetime
    """The end of the order: its rule counts from here."""
    state: SettlementState = SettlementState.DUE
    newest: Settlement | None = None
    """The newest version."""
    logged_at: datetime | None = None
    """When that was, by the log's clock: its window begins."""
    owed: SettlementStatus | None = None
    """The version that its owner has still to write."""
    disputes: list[TrackedDispute] = field(default_factory=list)
    """Of all versions, the oldest first."""
    before: int = 0
    """How many versions there were when it left the book; it is back for a later one."""

    @property
    def window_ends_at(self) -> datetime | None:
        """Until when the newest version may be disputed; None where there is none."""
        return None if self.logged_at is None else self.logged_at + self.of.dispute_window

    @property
    def version(self) -> int:
        """The newest; 0 where there is none."""
        return self.before if self.newest is None else self.newest.version

    @property
    def open_disputes(self) -> list[TrackedDispute]:
        """Those of the newest version that have no answer."""
        return [each for each in self.disputes if each.dispute.version == self.version and each.answer is None]

    def is_asked_for(self, state: SettlementState | None) -> bool:
        """Whether a list of this state has it: of DISPUTED whatever waits for an answer, PROVISIONAL or not."""
        return state in (None, self.state) or (state is SettlementState.DISPUTED and bool(self.open_disputes))


@dataclass(frozen=True, slots=True)
class TrackedResponse:
    """A response whose identity is settled."""

    response: OrderResponse
    receipt: Receipt
