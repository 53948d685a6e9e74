"""What an order of the log comes to, by the rule of its request: its terms and its readings, as settlement has them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from gridsignal_schemas.messages import MeterReading, QuantityKind
from gridsignal_schemas.rules.baselines import counting, runs_of
from gridsignal_schemas.rules.profile import Block, Profile
from gridsignal_services.ledger.delivered import Terms, means_of
from gridsignal_services.settlement import claims
from gridsignal_services.settlement.claims import Claim, Site
from gridsignal_services.settlement.energy import Energies, Gap, Mean
from gridsignal_services.settlement.ramps import Ramps
from gridsignal_services.settlement.rules import SettlementRule
from gridsignal_services.settlement.settling import Settled, settle


def settled(
    terms: Terms,
    readings: Iterable[MeterReading] | None,
    rule: SettlementRule,
    currency: str,
    activation_fee: Decimal = Decimal(0),
    *,
    is_awaited: bool = False,
) -> Settled:
    """What an order that is paid comes to, from readings in the order of the log; None: too many to be added up.

    While readings are awaited a period without them counts as nothing, whatever the rule makes of it later.
    """
    ends_at = terms.ends_at
    stretches = counting(terms.baselines, terms.starts_at, ends_at)
    baseline = [Mean(*block) for stretch in stretches for block in runs_of(stretch)]
    means = [] if readings is None else means_of(terms, readings)
    site = Site(
        Energies(baseline, Gap.NO_BASELINE),
        Energies(means, Gap.TOO_MANY_READINGS) if readings is None else Energies(means),
        ramps=None if terms.max_ramp_w_per_min is None else Ramps(means),
    )

    def claims_of(amounts: Profile, limits: Iterable[Block]) -> list[Claim]:
        kept = (Claim(each.starts_at, each.ends_at, QuantityKind.IMPORT_LIMIT, Profile([each])) for each in limits)
        return [Claim(terms.starts_at, ends_at, QuantityKind.DELTA, amounts), *kept]

    paid = claims.Terms(
        claim=Claim(terms.starts_at, min(terms.over_at, ends_at), terms.meaning, terms.ordered),
        ends_at=ends_at,
        direction=terms.direction,
        ahead=claims_of(terms.ahead, terms.limits_ahead),
        behind=claims_of(terms.behind, terms.limits_behind),
        netting=terms.netting,
        nettings=terms.nettings,
        pricing=terms.pricing,
        price_per_mwh=terms.bid_per_mwh,
        clearing_price_per_mwh=terms.clearing_price_per_mwh,
        deficiency_price_per_mwh=terms.deficiency_price_per_mwh,
        activation_fee=activation_fee,
        max_ramp_w_per_min=terms.max_ramp_w_per_min,
    )
    return settle(paid, [site], rule, currency, is_awaited=is_awaited)
