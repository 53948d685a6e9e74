"""By which rule an order is paid: its parameters, their one text, and the rules that ship with the product.

A request carries the text of its rule, so what is paid by it can be computed from the log alone, and nobody changes it
after the fact. The text is the canonical JSON of all parameters that have a value, name and version among them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Any, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, ValidationError, model_validator

from gridsignal_schemas.canonical import canonical, sha256_of
from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import Pricing, QuantityKind
from gridsignal_schemas.rules.shapes import shape_fault
from gridsignal_schemas.strict_json import NotJson, NotTheShape, read
from gridsignal_schemas.values import (
    MAX_PRICE_PER_MWH,
    Currency,
    Identifier,
    Money,
    OfferPrice,
    Power,
    Revision,
    Seconds,
    Shape,
    Within,
)

_HOUR_S = 3600
_DAY_S = 86_400
_time_zones = cache(available_timezones)
"""Looked up once: it walks through a directory."""
_EXPECTED_ZONE = "expected an IANA time zone such as Europe/Berlin, got {!r:.60}"
_MAX_WAIT_S = 10 * 366 * _DAY_S
MAX_RULE_TEXT = 2048
"""Characters of a rule's text: it rides in every request."""


class Missing(StrEnum):
    """What a stretch of an order counts as for which no reading has come in time."""

    NOTHING = "NOTHING"
    """It is neither paid nor charged."""
    ZERO = "ZERO"
    """Nothing was delivered: what was ordered is short."""
    ESTIMATE = "ESTIMATE"
    """The operator's estimate stands in, and says so; without one it is neither paid nor charged."""


class Rounding(StrEnum):
    """Where a sum of money goes that lies halfway between two units of its currency."""

    HALF_EVEN = "HALF_EVEN"
    HALF_UP = "HALF_UP"
    """Away from zero, as an invoice does it."""


def _of_an_hour(seconds: int) -> int:
    if _HOUR_S % seconds:
        raise ValueError(f"expected seconds that divide an hour, such as 900 or 1800, got {seconds}")
    return seconds


def _known(pricing: Pricing) -> Pricing:
    if pricing is Pricing.UNKNOWN:
        raise ValueError(f"expected one of {', '.join(each for each in Pricing if each is not pricing)}, got 'UNKNOWN'")
    return pricing


def _known_meaning(meaning: QuantityKind) -> QuantityKind:
    if meaning is QuantityKind.UNKNOWN:
        raise ValueError("expected DELTA or IMPORT_LIMIT, got 'UNKNOWN'")
    return meaning


def _spelt_like_a_zone(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_+/-]{1,64}", name):
        raise ValueError(_EXPECTED_ZONE.format(name))
    return name


Share = Annotated[Money, Within(0, 1)]
Wait = Annotated[int, Field(ge=0, le=_MAX_WAIT_S)]
"""Seconds after the end of an order; ten years at most."""


class SettlementRule(Shape):
    """Everything that a settlement depends on beside the order, its baseline and its readings."""

    name: Identifier
    """The rule's name."""
    version: Revision
    """+1 for each change of its parameters."""
    interval_s: Annotated[int, Field(ge=60, le=_HOUR_S), AfterValidator(_of_an_hour)] = 900
    """The length of a settlement period: a line of the settlement covers one."""
    time_zone: Annotated[str, AfterValidator(_spelt_like_a_zone)] = "UTC"
    """Periods are counted from midnight there: an IANA name."""
    meaning: Annotated[QuantityKind, Field(strict=False), AfterValidator(_known_meaning)] | None = None
    """Whether an order is an amount used less or more (DELTA), or a limit kept (IMPORT_LIMIT); DELTA without a word."""
    pricing: Annotated[Pricing, AfterValidator(_known)] | None = None
    """What price is paid; the request's own word where the rule has none."""
    regulated_price_per_mwh: OfferPrice | None = None
    """The price of REGULATED pricing; the order's where the rule has none."""
    deficiency_price_per_mwh: Annotated[Money, Within(0, MAX_PRICE_PER_MWH)] | None = None
    """What a shortfall costs; the request's price of it where the rule has none."""
    deficiency_multiplier: Annotated[Money, Within(0, 100)] | None = None
    """What a shortfall costs, in prices of the order without their sign; instead of a deficiency price."""
    tolerance_share: Share = Decimal(0)
    """How much of a period's order may lack and costs nothing; only what lacks beyond it is charged."""
    tolerance_w: Power = 0
    """The same as a power; of the two the wider band counts."""
    minimum_interval_share: Share = Decimal(0)
    """A period of which less was delivered is paid nothing; what it lacks is charged all the same."""
    minimum_order_share: Share = Decimal(0)
    """An order of which less was delivered is paid nothing, no activation fee either."""
    pays_activation_fee: bool = True
    """Whether the order's activation fee is paid, once."""
    ramp_in_s: Seconds = 0
    """The first seconds of an order in which it ramps: neither paid nor charged."""
    ramp_out_s: Seconds = 0
    """The last seconds of an order in which it ramps back: neither paid nor charged."""
    missing: Annotated[Missing, Field(strict=False)] = Missing.NOTHING
    """What counts where readings are missing; the line is flagged whatever it is."""
    missing_after_s: Wait = 7 * _DAY_S
    """How long after the order readings are waited for; until then what is missing counts as NOTHING."""
    currency_places: Annotated[dict[Currency, Annotated[int, Field(ge=0, le=4)]], Field(max_length=8)] = Field(
        default_factory=dict
    )
    """Decimals of a currency where they are not those of ISO 4217."""
    rounding: Annotated[Rounding, Field(strict=False)] = Rounding.HALF_UP
    """Of money; lines carry what rounding took, so that they add up to their total."""
    provisional_after_s: Wait = _HOUR_S
    """When the first version is due."""
    final_after_s: Wait = 30 * _DAY_S
    """When the final version is due."""
    dispute_window_s: Wait = 14 * _DAY_S
    """How long after a version the participant may dispute it."""
    corrections_until_s: Wait = 3 * 366 * _DAY_S
    """Until when a corrected reading gives another version."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.deficiency_price_per_mwh is not None and self.deficiency_multiplier is not None:
            raise ValueError("expected a deficiency price or a deficiency multiplier, got both")
        if self.pricing is not None and self.is_without_price(self.pricing):
            raise ValueError(
                "expected a deficiency price with pricing UNPAID, got a multiplier: nothing times it is nothing"
            )
        if self.deficiency_multiplier is not None and self.regulated_price_per_mwh == 0:
            raise ValueError("expected a regulated price other than 0 with a deficiency multiplier, got 0")
        if self.regulated_price_per_mwh is not None and self.pricing not in (None, Pricing.REGULATED):
            raise ValueError(f"expected a regulated price with pricing REGULATED alone, got it with {self.pricing}")
        waits = ("provisional_after_s", "final_after_s", "corrections_until_s")
        for earlier, later in pairwise(waits):
            if getattr(self, earlier) > getattr(self, later):
                raise ValueError(
                    f"expected {earlier} to be at most {later} ({getattr(self, later)}), got {getattr(self, earlier)}"
                )
        if self.missing_after_s > self.final_after_s:
            raise ValueError(
                f"expected missing_after_s to be at most final_after_s ({self.final_after_s}),"
                f" got {self.missing_after_s}"
            )
        return self

    @classmethod
    def parse(cls, text: str) -> SettlementRule:
        """The rule that a canonical text says. Raises RuleFault, for any other spelling of the same, too."""
        if len(text) > MAX_RULE_TEXT:
            raise RuleFault(
                [Detail(code="INVALID_VALUE", message=f"expected at most {MAX_RULE_TEXT} characters, got {len(text)}")]
            )
        try:
            rule = read(cls, text.encode())
        except NotJson as broken:
            raise RuleFault([Detail(code="INVALID_VALUE", message=str(broken))]) from None
        except NotTheShape as wrong:
            raise RuleFault(wrong.faults) from None
        if text != rule.text:
            raise RuleFault([Detail(code="INVALID_VALUE", message=_not_canonical(text, rule.text))])
        return rule

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> SettlementRule:
        """A rule from its parameters as JSON or TOML has them; what is not said has its default. Raises RuleFault.

        Its time zone is one that this machine knows. `parse` does not ask: whether a request counts is the same on
        every machine.
        """
        try:
            rule = cls.model_validate(parameters)
        except ValidationError as invalid:
            raise RuleFault([shape_fault(error) for error in invalid.errors(include_url=False)]) from None
        if rule.time_zone not in _time_zones():
            message = _EXPECTED_ZONE.format(rule.time_zone)
            raise RuleFault([Detail(code="INVALID_VALUE", pointer="/time_zone", message=message)])
        return rule

    @property
    def text(self) -> str:
        """The canonical text: what rides in a request, and what `parse` takes."""
        return canonical(self.model_dump(mode="json", exclude_none=True)).decode()

    @property
    def sha256(self) -> str:
        """The sha256 of the canonical text, in lower-case hexadecimal digits."""
        return sha256_of(self.model_dump(mode="json", exclude_none=True))

    @property
    def charges(self) -> bool:
        """Whether it has a price of its own for what lacks."""
        return bool(self.deficiency_price_per_mwh or self.deficiency_multiplier)

    def is_without_price(self, pricing: Pricing) -> bool:
        """Whether it charges a multiple of what is paid where nothing is: `pricing` counts where it has none itself."""
        return self.deficiency_multiplier is not None and (self.pricing or pricing) is Pricing.UNPAID

    def places_of(self, currency: str) -> int:
        """How many decimals a sum of money has."""
        return self.currency_places.get(currency, minor_unit(currency))


class RuleFault(ValueError):
    """A text that is no settlement rule: `faults` says what is wrong, where, expected and got."""

    def __init__(self, faults: Sequence[Detail]) -> None:
        super().__init__("; ".join(f"{fault.pointer or 'rule'}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


def _not_canonical(got: str, canonical_text: str) -> str:
    at = next(
        (i for i, (a, b) in enumerate(zip(got, canonical_text, strict=False)) if a != b),
        min(len(got), len(canonical_text)),
    )
    return (
        f"expected the canonical text with every parameter, got another from character {at}:"
        f" {canonical_text[at:][:30]!r} would go on, not {got[at:][:30]!r}"
    )


_MINOR_UNITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
"""ISO 4217, list one: currencies whose minor unit is not a hundredth, by its decimals."""


def minor_unit(currency: str) -> int:
    """Decimals of a currency's minor unit by ISO 4217."""
    return next((places for places, names in _MINOR_UNITS.items() if currency in names.split()), 2)


def _shipped() -> dict[str, tuple[SettlementRule, ...]]:
    rows = tomllib.loads(files("gridsignal_services.settlement").joinpath("rules.toml").read_text("utf-8"))["rule"]
    rules = sorted((SettlementRule.of(row) for row in rows), key=lambda rule: rule.version)
    return {name: tuple(rule for rule in rules if rule.name == name) for name in sorted({rule.name for rule in rules})}


SHIPPED: Mapping[str, tuple[SettlementRule, ...]] = _shipped()
"""The rules that ship with the product by name, oldest version first."""
STANDARD = SHIPPED["standard"][-1]


def shipped_rule(name: str, version: int | None = None) -> SettlementRule:
    """A shipped rule, the newest where no version is named. Raises RuleFault."""
    found = [rule for rule in SHIPPED.get(name, ()) if version in (None, rule.version)]
    if not found:
        named = name if version is None else f"{name} {version}"
        known = ", ".join(f"{rule.name} {rule.version}" for rules in SHIPPED.values() for rule in rules)
        raise RuleFault([Detail(code="INVALID_VALUE", message=f"expected one of {known}, got {named!r:.60}")])
    return found[-1]
