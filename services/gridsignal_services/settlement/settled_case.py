"""What the orders of a case file come to, and what flows between the parties: the arithmetic of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from gridsignal_schemas.messages import Quality, QuantityKind, RunMode
from gridsignal_schemas.rules.in_force import Statement, in_force
from gridsignal_schemas.rules.profile import Block, Profile
from gridsignal_services.settlement.case_file import (
    Case,
    CaseBaseline,
    CaseEstimate,
    CaseOrder,
    meaning_in,
    pricing_of,
    rule_of,
    rules_of,
)
from gridsignal_services.settlement.claims import Claim, Site, Terms
from gridsignal_services.settlement.energy import Energies, Gap, Installed, Mean, net_means
from gridsignal_services.settlement.periods import Netting
from gridsignal_services.settlement.said import Said
from gridsignal_services.settlement.settling import Settled, flows, settle


class SettledCase:
    """What a case comes to: each order's settlement, and what flows between the parties."""

    def __init__(self, case: Case) -> None:
        """Settles a case that `Case.parse` gave. Raises CaseFault where its rule is none."""
        self.case = case
        self.rule = rule_of(case)
        """Of the case; an order may have one of its own."""
        rules = rules_of(case)
        nettings = [
            Netting.of(rule, order.starts_at, order.ends_at) for rule, order in zip(rules, case.orders, strict=True)
        ]
        sites = {site: _site(case, site) for site in case.sites}
        self.settled: list[Settled] = []
        """One for each order, in their order."""
        claims = [
            _claim(order, meaning_in(order, rule), [site.baseline for site in _measuring(order, sites)])
            for order, rule in zip(case.orders, rules, strict=True)
        ]
        for number, order in enumerate(case.orders):
            if order.run_mode is RunMode.DRY_RUN:
                self.settled.append(Settled((), Decimal(0), Decimal(0)))
                continue
            sharing = {
                turn: claims[turn] for turn, other in enumerate(case.orders) if turn != number and _shares(other, order)
            }
            terms = Terms(
                claim=claims[number],
                ends_at=order.ends_at,
                direction=order.direction,
                ahead=[claim for turn, claim in sharing.items() if turn < number],
                behind=[claim for turn, claim in sharing.items() if turn > number],
                netting=nettings[number],
                nettings=[nettings[turn] for turn in sharing],
                pricing=pricing_of(order),
                price_per_mwh=order.price_per_mwh or Decimal(0),
                clearing_price_per_mwh=order.clearing_price_per_mwh,
                deficiency_price_per_mwh=order.deficiency_price_per_mwh,
                activation_fee=order.activation_fee,
            )
            self.settled.append(settle(terms, _measuring(order, sites), rules[number], case.currency))

    @property
    def flows(self) -> dict[str, Decimal]:
        """What each party gets in all, or pays below zero: they add up to nothing."""
        orders = zip(self.case.orders, self.settled, strict=True)
        return flows((order.participant, order.operator or self.case.operator, each.total) for order, each in orders)


def _measuring(order: CaseOrder, sites: Mapping[str | None, Site]) -> list[Site]:
    return [site for name, site in sites.items() if order.site in (None, name)]


def _claim(order: CaseOrder, meaning: QuantityKind, baselines: Sequence[Energies]) -> Claim:
    power = Profile([Block(order.starts_at, order.ends_at, order.power_w)])
    return Claim(order.starts_at, order.ends_at, meaning, power, baselines)


def _shares(other: CaseOrder, order: CaseOrder) -> bool:
    """Whether both take of one deviation."""
    return (
        other.run_mode is not RunMode.DRY_RUN
        and other.direction is order.direction
        and (other.site == order.site or None in (other.site, order.site))
        and other.starts_at < order.ends_at
        and order.starts_at < other.ends_at
    )


def _site(case: Case, name: str | None) -> Site:
    first = -len(case.readings)
    readings = [
        Said(
            each.meter, each.starts_at, each.ends_at, each.import_w, each.export_w, each.register_wh, each.quality,
            first + number if each.seq is None else each.seq,
        )
        for number, each in enumerate(case.readings)
        if each.site == name
    ]  # fmt: skip
    meters: Mapping[str, Installed] = {
        each.meter: Installed(each.digits, each.since, each.until) for each in case.meters if each.site == name
    }
    estimates = [each for each in case.estimates if each.site == name]
    return Site(
        baseline=_curve([each for each in case.baseline if each.site == name], frozenset(), Gap.NO_BASELINE),
        metered=Energies(net_means(readings, installed=meters)),
        estimated=_curve(estimates, frozenset({Quality.ESTIMATED}), Gap.METER_MISSING),
    )


def _curve(lines: Sequence[CaseBaseline | CaseEstimate], qualities: frozenset[Quality], nothing: Gap) -> Energies:
    statements = [Statement(each.starts_at, each.ends_at, (turn,)) for turn, each in enumerate(lines)]
    held = in_force(statements)
    return Energies([Mean(since, until, lines[turn].power_w, None, qualities) for since, until, turn in held], nothing)
