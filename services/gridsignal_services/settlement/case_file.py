"""A settlement case from outside: orders, baselines and readings in one JSON file.

Bounded: MAX_CASE bytes of a file, MAX_LINES settlement periods of an order. What goes beyond is refused with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import Direction, Pricing, Quality, QuantityKind, RunMode
from gridsignal_schemas.rules.readings import LONGEST_READING
from gridsignal_schemas.values import (
    EXACT_MAX,
    MAX_ACTIVATION_FEE,
    MAX_POWER_W,
    MAX_PRICE_PER_MWH,
    Currency,
    Energy,
    Identifier,
    Power,
    Shape,
    Timestamp,
    Within,
    rfc3339,
)
from gridsignal_services.case_files import CaseFault, case_of, wrong
from gridsignal_services.settlement.rules import STANDARD, RuleFault, SettlementRule, shipped_rule

MAX_CASE = 64 * 1024 * 1024
"""Bytes of a case file: half a million readings."""
MAX_LINES = 40_000
"""Periods of one order: a year of quarter hours."""
_FEW = 10
_LONGEST_ORDER = timedelta(days=366)
_NUMBER = re.compile(r"-?[0-9]{1,14}(\.[0-9]{1,4})?")


def _exact(value: Any) -> Any:
    """A number as it is written: 28, 28.5 or "28.50"; JSON's own numbers are read by their shortest digits."""
    if isinstance(value, Decimal):
        return value
    text = repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if isinstance(text, str) and _NUMBER.fullmatch(text):
        return Decimal(text)
    raise ValueError(f'expected a number such as 65.49 or "65.49", four places at most, got {value!r:.60}')


def _name_or_parameters(value: Any) -> Any:
    if not isinstance(value, str | dict):
        raise ValueError(f"expected a rule's name, or an object of its parameters, got {value!r:.60}")
    return value


_Number = Annotated[Decimal, Field(strict=False), BeforeValidator(_exact)]
Price = Annotated[_Number, Within(-MAX_PRICE_PER_MWH, MAX_PRICE_PER_MWH)]
DeficiencyPrice = Annotated[_Number, Within(0, MAX_PRICE_PER_MWH)]
Fee = Annotated[_Number, Within(0, MAX_ACTIVATION_FEE)]
Seq = Annotated[int, Field(ge=0, le=EXACT_MAX)]
NetPower = Annotated[int, Field(ge=-MAX_POWER_W, le=MAX_POWER_W)]


class CaseOrder(Shape):
    """An order as it is settled. Orders are in the order in which they were accepted."""

    order_id: Identifier
    participant: Identifier
    """Who is paid."""
    operator: Identifier | None = None
    """Who pays; the case's operator where none is named."""
    site: Identifier | None = None
    """The connection point; all of the case where none is named."""
    direction: Literal[Direction.LOAD_DECREASE, Direction.LOAD_INCREASE] = Direction.LOAD_DECREASE
    meaning: Literal[QuantityKind.DELTA, QuantityKind.IMPORT_LIMIT] | None = None
    """Its rule's where it is not said."""
    starts_at: Timestamp
    ends_at: Timestamp
    power_w: Power
    """How much less or more, or the limit."""
    pricing: Annotated[Pricing, Field(strict=False)] = Pricing.PAY_AS_BID
    price_per_mwh: Price | None = None
    clearing_price_per_mwh: Price | None = None
    """The uniform price; it is paid where it is given, unless the pricing is another."""
    deficiency_price_per_mwh: DeficiencyPrice = Decimal(0)
    activation_fee: Fee = Decimal(0)
    run_mode: Annotated[RunMode, Field(strict=False)] = RunMode.LIVE
    rule: Annotated[str | dict[str, Any], BeforeValidator(_name_or_parameters)] | None = None
    """By which it is settled; the case's where it has none of its own."""


class CaseBaseline(Shape):
    """What a site would draw over a period; of overlapping ones the later line holds."""

    site: Identifier | None = None
    starts_at: Timestamp
    ends_at: Timestamp
    power_w: NetPower


class CaseReading(Shape):
    """What a meter said; the connection's meters are added."""

    site: Identifier | None = None
    meter: Identifier = "meter"
    starts_at: Timestamp
    ends_at: Timestamp
    import_w: Power | None = None
    export_w: Power = 0
    register_wh: Energy | None = None
    quality: Annotated[Quality, Field(strict=False)] = Quality.OK
    seq: Seq | None = None
    """Of two readings of one instant the higher counts, of equals the first line; without any the later line."""


class CaseMeter(Shape):
    """What is known of a meter beside its readings."""

    site: Identifier | None = None
    meter: Identifier
    digits: Annotated[int, Field(ge=1, le=15)] | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None


class CaseEstimate(Shape):
    """The operator's estimate of a site's net power, for a rule that asks for one."""

    site: Identifier | None = None
    starts_at: Timestamp
    ends_at: Timestamp
    power_w: NetPower


class Case(Shape):
    """The whole file."""

    currency: Currency
    rule: Annotated[str | dict[str, Any], BeforeValidator(_name_or_parameters)] = STANDARD.name
    """A shipped rule's name, or a rule's parameters."""
    operator: Identifier = "operator"
    orders: list[CaseOrder]
    baseline: list[CaseBaseline]
    readings: list[CaseReading]
    meters: list[CaseMeter] = Field(default_factory=list)
    estimates: list[CaseEstimate] = Field(default_factory=list)

    @classmethod
    def parse(cls, text: bytes) -> Case:
        """The case that a JSON text says. Raises CaseFault."""
        case = case_of(cls, text, MAX_CASE)
        if faults := list(_faults(case)):
            raise CaseFault(faults)
        return case

    @property
    def sites(self) -> list[str | None]:
        """The connection points that have a baseline or readings, each once; one of which nothing is known where none
        has."""
        return list(dict.fromkeys(each.site for lines in (self.baseline, self.readings) for each in lines)) or [None]


def rule_of(case: Case) -> SettlementRule:
    """The rule of a case. Raises CaseFault."""
    return _rule(case.rule, "/rule")


def rules_of(case: Case) -> list[SettlementRule]:
    """The rule of each order, in their order. Raises CaseFault."""
    common = rule_of(case)
    return [
        common if order.rule is None else _rule(order.rule, f"/orders/{number}/rule")
        for number, order in enumerate(case.orders)
    ]


def _rule(said: str | dict[str, Any], at: str) -> SettlementRule:
    try:
        if isinstance(said, str):
            return shipped_rule(said)
        return SettlementRule.of({"name": "case", "version": 1} | dict(map(_parameter, said.items())))
    except RuleFault as wrong:
        faults = [fault.model_copy(update={"pointer": f"{at}{fault.pointer}"}) for fault in wrong.faults]
        raise CaseFault(faults) from None


def _parameter(named: tuple[str, Any]) -> tuple[str, Any]:
    """A parameter that is a text where it is pinned may be a number in a file."""
    name, value = named
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return name, repr(value) if is_number and name.endswith(("_share", "_per_mwh", "_multiplier")) else value


def _faults(case: Case) -> Iterator[Detail]:
    """What the shape alone does not say."""
    rules = rules_of(case)
    known = [site for site in case.sites if site is not None]
    names: set[str] = set()
    is_shared = len(known) > 1 and len({order.participant for order in case.orders if order.site is None}) > 1
    for number, order in enumerate(case.orders):
        at, rule = f"/orders/{number}", rules[number]
        yield from _period_faults(at, order, _LONGEST_ORDER)
        if order.ends_at - order.starts_at > rule.interval_s * MAX_LINES * timedelta(seconds=1):
            yield wrong(f"{at}/ends_at", f"expected at most {MAX_LINES} periods of {rule.interval_s} s, got more")
        if order.order_id in names:
            yield wrong(f"{at}/order_id", f"expected each order once, got {order.order_id!r} again")
        names.add(order.order_id)
        if (order.site is None and is_shared) or (order.site is not None and order.site not in known):
            named = ", ".join(known[:_FEW]) or "no site, for none has a name"
            yield wrong(f"{at}/site", f"expected one of {named}, got {order.site!r}")
        if meaning_in(order, rule) is QuantityKind.IMPORT_LIMIT and order.direction is not Direction.LOAD_DECREASE:
            yield wrong(f"{at}/direction", f"expected LOAD_DECREASE of an IMPORT_LIMIT, got {order.direction}")
        yield from _price_faults(at, order, rule)
    for name in ("baseline", "readings", "estimates"):
        lines: Sequence[CaseBaseline | CaseReading | CaseEstimate] = getattr(case, name)
        for number, line in enumerate(lines):
            at = f"/{name}/{number}"
            if line.site is None and known:
                yield wrong(f"{at}/site", f"expected a name, for others have one ({known[0]}), got nothing")
            if not isinstance(line, CaseReading):
                yield from _period_faults(at, line)
                continue
            if line.starts_at != line.ends_at or line.register_wh is None:
                yield from _period_faults(at, line, LONGEST_READING)
            is_good = line.quality in (Quality.OK, Quality.ESTIMATED)
            if is_good and line.import_w is None and line.register_wh is None:
                yield wrong(at, "expected import_w or register_wh of a good reading, got neither")


def _period_faults(
    at: str, line: CaseOrder | CaseBaseline | CaseReading | CaseEstimate, longest: timedelta | None = None
) -> Iterator[Detail]:
    if line.ends_at <= line.starts_at:
        got = f"expected a time after starts_at ({rfc3339(line.starts_at)}), got {rfc3339(line.ends_at)}"
        yield wrong(f"{at}/ends_at", got)
    elif longest is not None and line.ends_at - line.starts_at > longest:
        yield wrong(f"{at}/ends_at", f"expected at most {longest.days} days, got {line.ends_at - line.starts_at}")


def _price_faults(at: str, order: CaseOrder, rule: SettlementRule) -> Iterator[Detail]:
    pricing = rule.pricing or pricing_of(order)
    if pricing is Pricing.UNKNOWN:
        yield wrong(f"{at}/pricing", "expected PAY_AS_BID, PAY_AS_CLEARED, REGULATED or UNPAID, got 'UNKNOWN'")
    if pricing is Pricing.PAY_AS_CLEARED and order.clearing_price_per_mwh is None:
        yield wrong(f"{at}/clearing_price_per_mwh", "expected the uniform price of PAY_AS_CLEARED, got nothing")
    if rule.is_without_price(pricing):
        yield wrong(
            f"{at}/pricing", "expected a price, for the rule charges what lacks by a multiple of it, got UNPAID"
        )
    needs_own = pricing is Pricing.PAY_AS_BID or (pricing is Pricing.REGULATED and rule.regulated_price_per_mwh is None)
    if needs_own and order.price_per_mwh is None:
        yield wrong(f"{at}/price_per_mwh", f"expected the order's price for {pricing}, got nothing")


def meaning_in(order: CaseOrder, rule: SettlementRule) -> QuantityKind:
    """Its own, or its rule's, or an amount used less or more."""
    return order.meaning or rule.meaning or QuantityKind.DELTA


def pricing_of(order: CaseOrder) -> Pricing:
    """By what it is paid where its rule does not say."""
    if order.pricing is Pricing.PAY_AS_BID and order.clearing_price_per_mwh is not None:
        return Pricing.PAY_AS_CLEARED
    return order.pricing
