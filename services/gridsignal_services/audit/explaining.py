"""Why an offer won or lost, in words, from the log alone: the merit order as it stood, and what would have changed it.

The operator is told everything. A participant is told of its own offer and the rule that decided; and once the
request's product publishes them, the prices of the others, but never whose they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from gridsignal_schemas.codes import why_lost, why_rejected
from gridsignal_schemas.messages import Clearing, ClearingTrigger, DispatchRequest, FlexOffer, Record
from gridsignal_schemas.rules.profile import Block
from gridsignal_schemas.values import MAX_PRICE_PER_MWH, MW, rfc3339, text_of_decimal
from gridsignal_services.audit.deciding_again import Again, Basis, decided
from gridsignal_services.bus import LogRecord
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.clearing import COMBINATION
from gridsignal_services.ledger.entry import OfferStanding, Outcome
from gridsignal_services.ledger.merit_order import effective_price, order_window
from gridsignal_services.ledger.ranking import price_in_full
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tracked import TrackedOffer

_TICK = Decimal("0.01")
"""By so much prices are tried."""
_MOST_TICKS = int(MAX_PRICE_PER_MWH / _TICK)
_FOUR_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Ranked:
    """One line of the merit order as it stood."""

    participant: str
    """Empty where it is not told."""
    offer_id: str
    price_per_mwh: Decimal
    """By which offers are compared: a fee is spread over the energy."""
    power_w: int
    """Awarded; 0 for a loser."""
    code: str = ""
    """The rule that stopped a loser."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One clearing's word on an offer."""

    offset: int
    decided_at: str
    lacking_w: int
    """What the request asked for and nobody had been called for."""
    awarded_w: int
    code: str
    """The rule that stopped it; empty for a winner."""
    merit_order: list[Ranked] | None = None
    """For the operator; for a participant once it is published, without the names of others."""
    turning_price: Decimal | None = None
    """For the operator alone: for a loser the highest price at which it would have been awarded something, for a winner
    the highest at which it still would; None where no price changes it."""
    turning_w: int = 0
    """What would have been awarded at that price."""
    algorithm: str = ""
    """How it was decided."""
    gap: Decimal | None = None
    """What the clearing says of how much cheaper the best may be; None where no solver had an answer."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """A person's award to an offer; why them and not others no rule says, so there is nothing to decide again."""

    offset: int
    decided_at: str
    awarded_w: int
    actor: str
    reason: str


@dataclass(slots=True)
class OfferStory:
    """What became of an offer, to be filled as the log is gone through.

    Bounded: by the clearings of one request, or by the requests that called one that stands.
    """

    key: OfferKey
    for_operator: bool
    publishes_at: Callable[[DispatchRequest], datetime | None] = lambda _: None
    """From when on a participant is told the prices of others; None: never."""
    offer: FlexOffer | None = None
    request: DispatchRequest | None = None
    codes: tuple[str, ...] = ()
    """The rules it broke when it came."""
    by_hand: list[ByHand] = field(default_factory=list)
    """The order that follows from each tells its site who awarded it, and why."""
    calls: list[str] = field(default_factory=list)
    """The offers that requests have made of it, where it stands for a product."""
    _clearings: list[Explained] = field(default_factory=list)
    """With the merit order."""
    _now: datetime | None = None
    """The log's clock at its end."""
    standing: OfferStanding | None = None
    """Where it stands at the end of the log."""

    def hear(self, ledger: Ledger, logged: LogRecord, record: Record, outcome: Outcome, again: Again | None) -> None:
        """The next record of the offer's partition, as `checking.check` tells it."""
        if (
            isinstance(record, FlexOffer)
            and (record.participant, record.offer_id) == self.key
            and not outcome.duplicate
        ):
            self.offer, self.codes = record, tuple(fault.code for fault in outcome.faults)
        if isinstance(record, DispatchRequest) and outcome.accepted:
            self._called(ledger, record.request_id)
        if self.offer is not None and self.offer.request_id in ledger.requests:
            self.request = ledger.requests[self.offer.request_id].request
        self.standing = ledger.offer_state(*self.key) or self.standing
        self._now = ledger.book.now
        if again is not None:
            self._clearing(again)
        elif isinstance(record, Clearing) and record.trigger is ClearingTrigger.BY_HAND and outcome.accepted:
            self._award(logged.offset, record, ledger.book.now)

    def _called(self, ledger: Ledger, request_id: str) -> None:
        """A request has come, which makes offers of those that stand for its product."""
        for key in ledger.requests[request_id].offers:
            made = ledger.book.offers[key]
            if key == self.key and self.offer is None:
                self.offer, self.codes = made.offer, made.codes
            elif key[0] == self.key[0] and made.offer.called_from == self.key[1] and key[1] not in self.calls:
                self.calls.append(key[1])

    def _award(self, offset: int, clearing: Clearing, now: datetime) -> None:
        if awarded := _awarded_w(clearing, self.key):
            self.by_hand.append(ByHand(offset, rfc3339(now), awarded, clearing.actor, clearing.reason))

    def _clearing(self, again: Again) -> None:
        basis = again.basis
        if basis is None or self.key not in dict(basis.book.callable_offers(again.clearing.request_id, basis.now)):
            return
        self._clearings.append(_explained(again.offset, again.clearing, basis, self.key, tells_all=self.for_operator))

    @property
    def clearings(self) -> list[Explained]:
        """What may be told of each clearing that has considered it, by the end of the log."""
        if self.for_operator:
            return self._clearings
        if not self._is_published:
            return [replace(each, merit_order=None) for each in self._clearings]
        return [replace(each, merit_order=_nameless(each.merit_order or [], self.key)) for each in self._clearings]

    @property
    def _is_published(self) -> bool:
        at = None if self.request is None else self.publishes_at(self.request)
        return at is not None and self._now is not None and self._now >= at

    def lines(self) -> Iterator[str]:
        """The story in words."""
        participant, offer_id = self.key
        if self.offer is None:
            yield f"there is no offer {offer_id} of {participant} on the log"
            return
        currency = "" if self.request is None else f" {self.request.currency}/MWh"
        for option in self.offer.options:
            fee = f" and a fee of {text_of_decimal(option.activation_fee)}" if option.activation_fee else ""
            yield (
                f"offer {offer_id} of {participant}, revision {self.offer.revision}, option {option.option}:"
                f" {_mw(option.power_w)} for {text_of_decimal(option.price_per_mwh)}{currency}{fee}"
            )
        if self.codes:
            yield f"it was rejected when it came: {why_rejected(self.codes)}"
        told: list[Explained | ByHand] = [*self.clearings, *self.by_hand]
        for each in sorted(told, key=lambda each: each.offset):
            if isinstance(each, ByHand):
                yield _by_hand(each)
            else:
                yield from _words(each, currency, tells_turning=self.for_operator)
        if self.offer.standing is not None:
            yield from self._of_standing(self.offer.standing.product)
        elif not (self._clearings or self.by_hand or self.codes):
            yield "no automatic clearing has considered it"
        if self.standing is not None:
            late = "NOT_CLEARED" in self.standing.codes
            why = f": {why_lost(['NOT_CLEARED'])} (NOT_CLEARED)" if late else ""
            yield f"it stands {self.standing.state} now{why}"

    def _of_standing(self, product: str) -> Iterator[str]:
        so_far = "called" if self.calls else "none has called it"
        yield f"it answers requests of {product} while it stands: {so_far}"
        yield from (f"  as offer {offer_id}, which explains itself" for offer_id in self.calls)


def _explained(offset: int, clearing: Clearing, basis: Basis, key: OfferKey, *, tells_all: bool) -> Explained:
    awarded = _awarded_w(clearing, key)
    codes = {(each.participant, each.offer_id): each.code for each in clearing.rejected}
    lacking = basis.book.shortfall_w(clearing.request_id, basis.now)
    code = "" if awarded else codes.get(key, "NOT_CONSIDERED")
    ranked = list(_merit_order(clearing, basis))
    how = clearing.algorithm
    told = Explained(offset, rfc3339(basis.now), lacking, awarded, code, ranked, algorithm=how, gap=clearing.gap)
    if not tells_all or how == COMBINATION:  # what a solver would have chosen at other prices nobody can say again
        return told
    price, power_w = _turning_price(clearing, basis, key, wins=awarded > 0)
    return replace(told, turning_price=price, turning_w=power_w)


def _nameless(ranked: Sequence[Ranked], key: OfferKey) -> list[Ranked]:
    """Without the names of others, dearest last: in what order equals came says who they are."""
    told = [
        each if (each.participant, each.offer_id) == key else replace(each, participant="", offer_id="")
        for each in ranked
    ]
    return sorted(told, key=lambda each: (not each.power_w, each.price_per_mwh, each.code, each.power_w))


def _merit_order(clearing: Clearing, basis: Basis) -> Iterator[Ranked]:
    book, request = basis.book, basis.book.requests[clearing.request_id].request
    for award in clearing.awards:
        option = book.offers[award.participant, award.offer_id].option_named(award.option)
        assert option is not None, "an award names an option of its offer"
        block = Block(*order_window(request, option, basis.now, award.starts_at), award.power_w)
        yield Ranked(award.participant, award.offer_id, _rounded(effective_price(option, block)), award.power_w)
    for loser in clearing.rejected:
        offer = book.offers[loser.participant, loser.offer_id]
        price = _rounded(price_in_full(request, offer, basis.now))
        yield Ranked(loser.participant, loser.offer_id, price, 0, loser.code)


def _turning_price(clearing: Clearing, basis: Basis, key: OfferKey, *, wins: bool) -> tuple[Decimal | None, int]:
    """The highest price at which the offer is awarded something, found by deciding again; all else as it stood.

    Halved in steps of a cent: a lower price never makes an offer come later.
    """
    own = min(option.price_per_mwh for option in basis.book.offers[key].offer.options)
    cap = basis.book.requests[clearing.request_id].request.price_cap_per_mwh
    most = _MOST_TICKS if cap is None else int(cap / _TICK)
    low, high = (int(own / _TICK), most) if wins else (-_MOST_TICKS, int(own / _TICK))
    if not wins and not _awarded_at(clearing, basis, key, low):
        return None, 0
    if wins and _awarded_at(clearing, basis, key, high):
        return None, 0
    while high - low > 1:
        middle = (low + high) // 2
        if _awarded_at(clearing, basis, key, middle):
            low = middle
        else:
            high = middle
    return low * _TICK, _awarded_at(clearing, basis, key, low)


def _awarded_at(clearing: Clearing, basis: Basis, key: OfferKey, ticks: int) -> int:
    """What the offer is awarded with all its options at this price."""
    tracked = basis.book.offers[key]
    price = (ticks * _TICK).quantize(_FOUR_PLACES)
    options = [option.model_copy(update={"price_per_mwh": price}) for option in tracked.offer.options]
    other: TrackedOffer = replace(tracked, offer=tracked.offer.model_copy(update={"options": options}))
    book = replace(basis.book, offers=basis.book.offers | {key: other})
    return _awarded_w(decided(basis._replace(book=book), clearing), key)


def _awarded_w(clearing: Clearing, key: OfferKey) -> int:
    return sum(each.power_w for each in clearing.awards if (each.participant, each.offer_id) == key)


def _by_hand(each: ByHand) -> str:
    actor = each.actor.removeprefix("operator:")
    reason = f": {each.reason}" if each.reason else ""
    return f"{each.decided_at}, offset {each.offset}: {_mw(each.awarded_w)} awarded by hand by {actor}{reason}"


def _words(each: Explained, currency: str, *, tells_turning: bool) -> Iterator[str]:
    yield f"{each.decided_at}, offset {each.offset}: {_mw(each.lacking_w)} were lacking"
    if each.awarded_w:
        yield f"  it was awarded {_mw(each.awarded_w)}"
    else:
        yield f"  it was awarded nothing: {why_lost([each.code])} ({each.code})"
    if each.algorithm == COMBINATION:
        yield "  a solver chose: together those who were called are better than the merit order"
    if each.gap is not None:
        yield f"  the best would be at most {each.gap:.2%} cheaper, says the solver"
    if each.merit_order is None:
        return
    yield "  merit order as it stood:"
    yield from _ranks(each.merit_order, currency)
    if each.algorithm == COMBINATION:
        return
    if not tells_turning:
        return
    if each.turning_price is None and each.awarded_w:
        yield "  at any price that the request takes it would have been awarded something"
    elif each.turning_price is None:
        yield "  no price would have changed that"
    elif each.awarded_w:
        price = text_of_decimal(each.turning_price)
        yield f"  up to {price}{currency} it would still have been awarded {_mw(each.turning_w)}"
    else:
        price = text_of_decimal(each.turning_price)
        yield f"  at {price}{currency} or less {_mw(each.turning_w)} would have been awarded"


def _ranks(ranked: Sequence[Ranked], currency: str) -> Iterator[str]:
    for rank, each in enumerate(ranked, 1):
        what = f"{_mw(each.power_w)} awarded" if each.power_w else each.code
        price = f"{text_of_decimal(each.price_per_mwh)}{currency}"
        whose = f"{each.participant}/{each.offer_id}" if each.participant else "another offer"
        yield f"    {rank:>3}  {price}  {whose}: {what}"


def _mw(power_w: int) -> str:
    return f"{text_of_decimal(Decimal(power_w) / MW)} MW"


def _rounded(price: Decimal) -> Decimal:
    return price.quantize(_FOUR_PLACES)
