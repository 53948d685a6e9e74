"""Awards that somebody else has chosen, fitted by the rules of every clearing: a person's, or a solver's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gridsignal_schemas.messages import Clearing, OfferOption
from gridsignal_schemas.rules.profile import Block
from gridsignal_services.ledger.announcements import OfferKey
from gridsignal_services.ledger.area_guard import Cut
from gridsignal_services.ledger.merit_order import Fit, Round, effective_price, first_fits, order_window
from gridsignal_services.ledger.tracked import TrackedOffer


@dataclass(frozen=True, slots=True)
class Pick:
    """An offer's option that is to be called with so much."""

    participant: str
    offer_id: str
    option: str
    power_w: int

    @property
    def key(self) -> OfferKey:
        return self.participant, self.offer_id


@dataclass(frozen=True, slots=True)
class Solved:
    """What a solver has found for a request."""

    picks: Sequence[Pick]
    """A better combination than the merit order; none where there is no better one."""
    gap: Decimal | None
    """How much cheaper the best may be at most, as a share of the cost; None where no solver was asked."""


def picks_of(clearing: Clearing) -> list[Pick]:
    """What a clearing has awarded."""
    return [Pick(each.participant, each.offer_id, each.option, each.power_w) for each in clearing.awards]


def by_hand(lot: Round, offers: Mapping[OfferKey, TrackedOffer], picks: Sequence[Pick]) -> list[Fit]:
    """A person's choice as awards; what is wrong with it is found by the same rules as everyone's.

    Raises ValueError for a pick that names no callable offer.
    """
    fits = []
    for pick in picks:
        offer, option = _named(offers, pick)
        placed = lot.placed(offer, option, pick.power_w)
        if placed is None or isinstance(placed, Cut):  # which the reduce then finds, too
            placed = None
            block = Block(*order_window(lot.request, option, lot.now), pick.power_w)
        else:
            block = Block(placed.starts_at, placed.ends_at, pick.power_w)
            lot.areas.take(offer.offer.site, placed.swing)
        fits.append(Fit(effective_price(option, block), offer.place, pick.key, option, block, placed))
    return fits


def combined(
    lot: Round, candidates: Sequence[tuple[OfferKey, TrackedOffer]], picks: Sequence[Pick]
) -> tuple[list[Fit], dict[OfferKey, str]]:
    """A solver's choice as awards, and the rule that then stops each of the others.

    Raises ValueError where it does not keep the rules, or leaves room for one more.
    """
    offers, called = dict(candidates), dict[OfferKey, Fit]()
    for pick in picks:
        offer, option = _named(offers, pick)
        fit = lot.fit(pick.key, offer, option, pick.power_w)
        if isinstance(fit, str) or fit.block.power_w != pick.power_w or pick.key in called:
            raise ValueError(f"expected what fits, got {pick.power_w} W of {pick.offer_id}/{pick.option}")
        lot.award(fit, offer)
        called[pick.key] = fit
    more, stopped = first_fits(lot, [each for each in candidates if each[0] not in called])
    if more:
        raise ValueError(f"expected a choice beside which nothing fits, got one that leaves {more[0].key[1]}")
    return list(called.values()), stopped


def _named(offers: Mapping[OfferKey, TrackedOffer], pick: Pick) -> tuple[TrackedOffer, OfferOption]:
    option = offers[pick.key].option_named(pick.option) if pick.key in offers else None
    if option is None:
        raise ValueError(f"expected a LIVE or STANDBY offer and its option, got {pick.offer_id}/{pick.option}")
    return offers[pick.key], option
