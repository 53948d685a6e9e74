"""What a request's awards are worth to its operator: what they leave lacking, what was bid for them, what is paid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from gridsignal_schemas.messages import DispatchRequest, OfferOption, Pricing
from gridsignal_schemas.rules.profile import Block
from gridsignal_schemas.values import WATT_SECONDS_PER_MWH
from gridsignal_services.ledger.amounts import exactly
from gridsignal_services.ledger.merit_order import Round

_MICROSECOND = timedelta(microseconds=1)
_PER_MWH = WATT_SECONDS_PER_MWH * 1_000_000
"""Watt microseconds."""


class Worth(NamedTuple):
    """Exact, for two nodes have to find the same; energies in watt microseconds, money in currency times these."""

    lacking: int
    """Energy that the request still lacks."""
    bid: Decimal
    """Price times energy, and fees."""
    paid: Decimal
    """The same at the prices of the request's pricing rule."""

    def is_better(self, other: Worth) -> bool:
        """Strictly: less is lacking, or as little at a lower cost; and then nobody pays more for it."""
        if self.lacking != other.lacking:
            return self.lacking < other.lacking
        return self.bid < other.bid and self.paid <= other.paid

    def cost(self, penalty: float) -> float:
        """With so much for each MWh that stays lacking, in currency."""
        return float(self.bid / _PER_MWH) + penalty * self.lacking / _PER_MWH


def worth(lot: Round, awards: Sequence[tuple[OfferOption, Block]]) -> Worth:
    """Of options awarded these blocks in a round, beside what was spoken for before it."""
    request = lot.request
    given = lot.before()
    for _, block in awards:
        given.add(block)
    edges = [request.starts_at, *given.edges(request.starts_at, request.ends_at), request.ends_at]
    lacking = sum(max(0, request.power_w - given.at(since)) * _micros(since, until) for since, until in pairwise(edges))
    energies = [block.power_w * _micros(block.starts_at, block.ends_at) for _, block in awards]
    same_for_all = uniform_price(request, (option for option, _ in awards))
    with exactly():
        fees = sum((option.activation_fee or Decimal(0) for option, _ in awards), Decimal(0)) * _PER_MWH
        bid = sum((option.price_per_mwh * each for (option, _), each in zip(awards, energies, strict=True)), fees)
        return Worth(lacking, bid, bid if same_for_all is None else same_for_all * sum(energies) + fees)


def _micros(since: datetime, until: datetime) -> int:
    return (until - since) // _MICROSECOND


def uniform_price(request: DispatchRequest, options: Iterable[OfferOption]) -> Decimal | None:
    """What all are paid under the operator's pricing rule; None where each is paid its own price."""
    match request.pricing:
        case Pricing.PAY_AS_CLEARED:
            return max((option.price_per_mwh for option in options), default=Decimal(0))
        case Pricing.REGULATED:
            return request.price_cap_per_mwh
        case Pricing.UNPAID:
            return Decimal(0)
        case _:
            return None
