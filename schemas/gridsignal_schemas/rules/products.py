"""What a product lays down: how fast, how long, how much at least; and whether a request stays inside it.

A request carries the text of its product's terms, as it carries its settlement rule: what was agreed when it was asked
is on the log, whatever a registry says later. The text is the canonical JSON of all terms that have a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from gridsignal_schemas.canonical import canonical
from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import Direction, DispatchRequest, FlexOffer, PinnedRule
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.shapes import shape_fault
from gridsignal_schemas.strict_json import NotJson, NotTheShape, read
from gridsignal_schemas.values import MAX_POWER_W, Identifier, Name, Revision, Seconds, Sha256, Shape, ShortText

RuleRef = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64} [1-9][0-9]{0,8}$")]
"""A rule or method with its version, such as "standard 1"."""
_KNOWN = 64
"""Terms read lately: requests of one product bring the same."""
Figure = Annotated[int, Field(ge=0, le=MAX_POWER_W)]


class Bounds(Shape):
    """What a figure may be: both ends are inside."""

    least: Figure
    most: Figure

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"expected least to be at most most ({self.most}), got {self.least}")
        return self

    def holds(self, figure: float) -> bool:
        """Whether a figure lies inside."""
        return self.least <= figure <= self.most

    def __str__(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


class Span(Bounds):
    """What a figure is where a request leaves it out, and what a request may make of it."""

    usual: Figure

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if not self.holds(self.usual):
            raise ValueError(f"expected usual from least to most ({self}), got {self.usual}")
        return self


def _span(value: Any) -> Any:
    """A number alone is fixed: no request changes it."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return {"usual": value, "least": value, "most": value} if is_number else value


Terms = Annotated[Span, BeforeValidator(_span)]


class ProductTerms(Shape):
    """What a product lays down; what it does not name is for each request to say."""

    name: Identifier
    """The product's name."""
    version: Revision
    """+1 for each change of its terms."""
    direction: Annotated[Direction, Field(strict=False)] | None = None
    """LOAD_DECREASE or LOAD_INCREASE; either where it is not named."""
    from_standing: bool | None = None
    """Whether its requests are cleared at once, without an auction, from the offers that stand for it."""
    max_notice_s: Terms | None = None
    """How long before it first moves a site is told: no offer may need more."""
    respond_within_s: Terms | None = None
    """How long a site may take to answer an order."""
    full_activation_s: Terms | None = None
    """From an order's issue to full power, notice and ramp included."""
    duration_s: Bounds | None = None
    """How long a request may last."""
    min_quantity_w: Terms | None = None
    """The smallest award, in watts."""
    rest_s: Seconds | None = None
    """The longest pause that a site may ask for between two activations."""
    cadence_s: Annotated[int, Field(ge=1, le=3600)] | None = None
    """From one setpoint to the next; none where an order is one block."""
    acknowledge_within_s: Annotated[int, Field(ge=1, le=3600)] | None = None
    """A site says RECEIVED within so long after an order; who does not raises an alarm, and no more."""
    telemetry_s: Annotated[int, Field(ge=1, le=3600)] | None = None
    """A reading of a meter covers so long at most."""

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> ProductTerms:
        """Terms as TOML has them. Raises TermsFault."""
        try:
            return cls.model_validate(said)
        except ValidationError as invalid:
            raise TermsFault([shape_fault(error) for error in invalid.errors(include_url=False)]) from None

    @property
    def text(self) -> str:
        """The canonical text: what rides in a request."""
        return canonical(self.model_dump(mode="json", exclude_none=True)).decode()

    @property
    def pinned(self) -> PinnedRule:
        """As a request brings them."""
        digest = sha256(self.text.encode()).hexdigest()
        return PinnedRule(name=self.name, version=self.version, sha256=digest, parameters=self.text)

    def usual(self) -> dict[str, int]:
        """The fields of a request that it need not say, with what they then are."""
        spans = {name: getattr(self, name) for name in INHERITED}
        return {name: span.usual for name, span in spans.items() if span is not None}


class Product(Shape):
    """A product that operators ask for by name, as a registry has it."""

    name: Name
    """What a request says as its product."""
    text: ShortText
    """What it is, for people."""
    settlement: RuleRef
    """The settlement rule of its requests."""
    baseline: RuleRef
    """Their baseline method."""
    terms: ProductTerms | None
    """What it lays down; null: nothing, whatever is asked is up to the request."""
    sha256: Sha256 | None
    """Of the terms' canonical text, as its requests bring it."""


class Products(Shape):
    """Those that operators ask for by name."""

    products: list[Product]
    """Those that ship first, then the registry's own."""


INHERITED = ("max_notice_s", "respond_within_s", "full_activation_s", "min_quantity_w")
"""Fields of a request that are its product's where it leaves them out."""


class TermsFault(ValueError):
    """A text that is no product's terms: `faults` says what is wrong, where, expected and got."""

    def __init__(self, faults: list[Detail]) -> None:
        super().__init__("; ".join(f"{each.pointer or 'terms'}: {each.message}" for each in faults))
        self.faults = faults


@lru_cache(_KNOWN)
def terms_of(text: str) -> ProductTerms:
    """The terms that a canonical text says. Raises TermsFault, for any other spelling of the same, too."""
    try:
        terms = read(ProductTerms, text.encode())
    except NotJson as broken:
        raise TermsFault([fault("INVALID_VALUE", "", str(broken))]) from None
    except NotTheShape as wrong:
        raise TermsFault(wrong.faults) from None
    if text != terms.text:
        raise TermsFault([fault("INVALID_VALUE", "", "expected the canonical text (RFC 8785), got another spelling")])
    return terms


def product_of(request: DispatchRequest) -> ProductTerms | None:
    """The terms of a request's product; None where it lays down nothing. Raises TermsFault."""
    return None if request.product_terms is None else terms_of(request.product_terms.parameters)


def product_faults(request: DispatchRequest) -> list[Detail]:
    """Where a request is outside its product, or what it brings are not the terms of its product."""
    pinned = request.product_terms
    if pinned is None:
        return []
    if (digest := sha256(pinned.parameters.encode()).hexdigest()) != pinned.sha256:
        return [fault("RULE_HASH", "/product_terms/sha256", f"expected {digest}, got {pinned.sha256}")]
    try:
        terms = terms_of(pinned.parameters)
    except TermsFault as broken:
        at = "/product_terms/parameters"
        return [fault("RULE", f"{at}{each.pointer}", each.message) for each in broken.faults]
    if (terms.name, terms.version) != (pinned.name, pinned.version):
        expected = f"expected {pinned.name} {pinned.version}, got {terms.name} {terms.version}"
        return [fault("RULE", "/product_terms/parameters", expected)]
    if terms.name != request.product:
        return [fault("RULE", "/product", f"expected {terms.name}, whose terms it brings, got {request.product}")]
    return list(_outside(request, terms))


def _outside(request: DispatchRequest, terms: ProductTerms) -> Iterator[Detail]:
    by = f"by {terms.name} {terms.version}"
    if terms.direction not in (None, request.direction):
        yield fault("OUTSIDE_PRODUCT", "/direction", f"expected {terms.direction} {by}, got {request.direction}")
    for name in INHERITED:
        span, got = getattr(terms, name), getattr(request, name)
        if span is not None and not span.holds(got):
            yield fault("OUTSIDE_PRODUCT", f"/{name}", f"expected {span} {by}, got {got}")
    seconds = (request.ends_at - request.starts_at).total_seconds()
    if terms.duration_s is not None and not terms.duration_s.holds(seconds):
        expected = f"expected {terms.duration_s} s after starts_at {by}, got {seconds:g}"
        yield fault("OUTSIDE_PRODUCT", "/ends_at", expected)


def offer_outside(terms: ProductTerms, offer: FlexOffer) -> Iterator[Detail]:
    """Where an offer asks for longer rests than its request's product has."""
    for index, option in enumerate(offer.options):
        if terms.rest_s is not None and (option.rest_s or 0) > terms.rest_s:
            expected = f"expected at most {terms.rest_s} by {terms.name} {terms.version}, got {option.rest_s}"
            yield fault("OUTSIDE_PRODUCT", f"/options/{index}/rest_s", expected)
