"""What energies are worth, by the rule: exact, before anything is rounded.

paid    delivered; 0 where too little of the period, or of the order, was delivered
worth   paid x price - max(0, deficiency - tolerance) x deficiency price
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from gridsignal_schemas.messages import Pricing
from gridsignal_services.settlement.claims import Terms
from gridsignal_services.settlement.energy import WATT_US_PER_WH
from gridsignal_services.settlement.rules import SettlementRule

_MICROSECOND = timedelta(microseconds=1)
_NOTHING = Fraction(0)
_WATT_US_PER_MWH = WATT_US_PER_WH * 10**6


class Figures(NamedTuple):
    """Watt-microseconds of a period."""

    ordered: Fraction
    delivered: Fraction
    deficiency: Fraction


def worths(
    terms: Terms, rule: SettlementRule, measured: Sequence[tuple[timedelta, Figures]]
) -> tuple[Fraction, list[Fraction]]:
    """The activation fee, and what each period is worth from its length and figures, in the currency's main unit."""
    price, deficiency_price = _prices(terms, rule)
    ordered = sum((each.ordered for _, each in measured), _NOTHING)
    delivered = sum((each.delivered for _, each in measured), _NOTHING)
    is_enough = delivered >= Fraction(rule.minimum_order_share) * ordered
    found = []
    for length, each in measured:
        is_paid = is_enough and each.delivered >= Fraction(rule.minimum_interval_share) * each.ordered
        band = max(
            Fraction(rule.tolerance_share) * each.ordered,
            Fraction(rule.tolerance_w * (length // _MICROSECOND)),
        )
        paid = each.delivered if is_paid else _NOTHING
        charged = max(_NOTHING, each.deficiency - band)
        found.append((paid * price - charged * deficiency_price) / _WATT_US_PER_MWH)
    pays_fee = rule.pays_activation_fee and is_enough and delivered > 0 and _pricing(terms, rule) is not Pricing.UNPAID
    return Fraction(terms.activation_fee) if pays_fee else _NOTHING, found


def _pricing(terms: Terms, rule: SettlementRule) -> Pricing:
    return rule.pricing or terms.pricing


def _prices(terms: Terms, rule: SettlementRule) -> tuple[Fraction, Fraction]:
    """What a MWh delivered is paid, and what one that lacks costs."""
    price = terms.price_per_mwh
    match _pricing(terms, rule):
        case Pricing.UNPAID:
            price = Decimal(0)
        case Pricing.PAY_AS_CLEARED if terms.clearing_price_per_mwh is not None:
            price = terms.clearing_price_per_mwh
        case Pricing.REGULATED if rule.regulated_price_per_mwh is not None:
            price = rule.regulated_price_per_mwh
        case _:
            pass
    if rule.deficiency_price_per_mwh is not None:
        return Fraction(price), Fraction(rule.deficiency_price_per_mwh)
    if rule.deficiency_multiplier is not None:
        return Fraction(price), Fraction(rule.deficiency_multiplier) * abs(Fraction(price))
    return Fraction(price), Fraction(terms.deficiency_price_per_mwh)
