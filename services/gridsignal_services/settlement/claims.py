"""What is settled: what an order claims of its site's deviation, by what it is paid, what is known of the site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from gridsignal_schemas.messages import Direction, Pricing, QuantityKind
from gridsignal_schemas.rules.profile import Profile
from gridsignal_services.settlement.energy import Energies
from gridsignal_services.settlement.periods import Netting
from gridsignal_services.settlement.ramps import Ramps

_MICROSECOND = timedelta(microseconds=1)
_NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Claim:
    """What an order claims of its site's deviation, and when."""

    starts_at: datetime
    ends_at: datetime
    """From here on it delivers nothing: it is over, or its site has ended it."""
    meaning: QuantityKind
    power: Profile
    """By which it is to differ from the baseline, or the limit, in watts."""
    baselines: Sequence[Energies] = ()
    """Of the sites that measure it, where those may be others than of an order that shares with it."""

    def asked(self, starts_at: datetime, ends_at: datetime) -> Fraction:
        """Its power over a period, in watt-microseconds."""
        edges = [starts_at, *self.power.edges(starts_at, ends_at), ends_at]
        spans = ((since, (until - since) // _MICROSECOND) for since, until in pairwise(edges))
        return Fraction(sum(self.power.at(since) * span for since, span in spans))

    def ordered(self, starts_at: datetime, ends_at: datetime, baseline: Fraction) -> Fraction:
        """By how much energy the site is to differ from its baseline over a period."""
        asked = self.asked(starts_at, ends_at)
        return max(_NOTHING, baseline - asked) if self.meaning is QuantityKind.IMPORT_LIMIT else asked

    def takes(self, starts_at: datetime, ends_at: datetime, baseline: Fraction) -> Fraction:
        """What it ordered of a period, and those after it don't get; `baseline` is that of the site they share."""
        own = [each.over(starts_at, ends_at).watt_us for each in self.baselines] or [baseline]
        known = [each for each in own if each is not None]
        if self.meaning is QuantityKind.IMPORT_LIMIT and len(known) < len(own):
            return _NOTHING  # without its baseline nobody knows what was ordered, and it isn't settled
        return self.ordered(starts_at, ends_at, sum(known, _NOTHING))

    def edges(self) -> Iterator[datetime]:
        """Where it begins, changes and ends."""
        yield self.starts_at
        yield from self.power.edges(self.starts_at, self.ends_at)
        yield self.ends_at

    def holds(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether it takes anything of a period."""
        return self.starts_at < ends_at and starts_at < self.ends_at


@dataclass(frozen=True, slots=True)
class Terms:
    """All that an order is paid by beside its rule, its baseline and its readings."""

    claim: Claim
    ends_at: datetime
    """Until when it owes what was ordered."""
    direction: Direction
    ahead: Sequence[Claim] = ()
    """Orders that were accepted before it and share the deviation of its site."""
    behind: Sequence[Claim] = ()
    """Those that were accepted later: they change nothing but where a period is cut."""
    netting: Netting | None = None
    """Where its rule has its energies netted; the rule that `settle` is given where it is not said."""
    nettings: Sequence[Netting] = ()
    """Where the rules of those before and after it have theirs: a stretch that is shared is netted in the same parts
    by all who share it."""
    pricing: Pricing = Pricing.PAY_AS_BID
    price_per_mwh: Decimal = Decimal(0)
    clearing_price_per_mwh: Decimal | None = None
    """The uniform price where there is one."""
    deficiency_price_per_mwh: Decimal = Decimal(0)
    activation_fee: Decimal = Decimal(0)
    max_ramp_w_per_min: int | None = None
    """How fast its site's power may change; None: as it likes."""


class Site(NamedTuple):
    """What is known of a connection point."""

    baseline: Energies
    metered: Energies
    estimated: Energies | None = None
    """The operator's estimate of what no meter said."""
    ramps: Ramps | None = None
    """What readings tell of its ramps, where that is asked."""
