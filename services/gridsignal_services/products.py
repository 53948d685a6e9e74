"""Products that operators ask for by name: those that ship, and what a registry file makes of them or adds."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Annotated

from pydantic import Field, JsonValue

from gridsignal_schemas.messages import PinnedRule
from gridsignal_schemas.rules.products import Product, ProductTerms, RuleRef, TermsFault
from gridsignal_schemas.values import Name, Revision, Shape, ShortText
from gridsignal_services.settlement.methods import METHODS, MeterBeforeAfter
from gridsignal_services.settlement.pinned import DECLARED, STANDARD_RULE

MAX_PUBLISH_AFTER_S = 10 * 366 * 86_400


def _ref(pinned: PinnedRule) -> RuleRef:
    return f"{pinned.name} {pinned.version}"


class ProductEntry(Shape):
    """What operators ask for by this name, what it lays down, and by which rules it is settled."""

    text: ShortText = ""
    """What it is, for people."""
    version: Revision | None = None
    """Of its terms: +1 for each change, and more than that of what ships by this name."""
    terms: dict[str, JsonValue] = Field(default_factory=dict)
    """What it lays down; of a product that ships, what is another there. docs/products.md names them."""
    settlement: RuleRef | None = None
    """The settlement rule: one of this file, or one that ships."""
    baseline: RuleRef | None = None
    """The baseline method."""
    publish_after_s: Annotated[int, Field(ge=0, le=MAX_PUBLISH_AFTER_S)] | None = None
    """So long after a request's end participants may be told at which prices others offered, without names: None is
    never."""


def product_of(name: Name, entry: ProductEntry | None = None) -> Product:
    """What a registry's row says, over what ships by this name. Raises TermsFault."""
    shipped, entry = SHIPPED.get(name), entry or ProductEntry()
    settlement = entry.settlement or (shipped.settlement if shipped else _ref(STANDARD_RULE))
    baseline = entry.baseline or (shipped.baseline if shipped else _ref(DECLARED))
    text = entry.text or (shipped.text if shipped else "")
    return _product(name, text, settlement, baseline, _terms(name, entry, shipped))


def _product(name: str, text: str, settlement: str, baseline: str, terms: ProductTerms | None) -> Product:
    digest = None if terms is None else terms.pinned.sha256
    return Product(name=name, text=text, settlement=settlement, baseline=baseline, terms=terms, sha256=digest)


def _terms(name: str, entry: ProductEntry, shipped: Product | None) -> ProductTerms | None:
    before = None if shipped is None else shipped.terms
    if not entry.terms:
        return before
    said = {} if before is None else before.model_dump(mode="json", exclude_none=True)
    return ProductTerms.of(said | entry.terms | {"name": name, "version": entry.version or 1})


def products_of(entries: Mapping[str, ProductEntry]) -> list[Product]:
    """All of them: those that ship first, then a registry's own."""
    return [product_of(name, entries.get(name)) for name in dict.fromkeys([*SHIPPED, *entries])]


def faults_of_products(products: Mapping[str, ProductEntry], rules: Iterable[str]) -> Iterator[str]:
    """What is wrong with a registry's rows; `rules` are the settlement rules there are, such as "standard 1"."""
    known = list(rules)
    methods = [
        f"{method.name} {method.version}"
        for method in METHODS.values()
        if not isinstance(method.parameters, MeterBeforeAfter)  # known before the event is over
    ]
    for name, entry in products.items():
        if entry.settlement not in (None, *known):
            yield f"products.{name}.settlement: expected one of {', '.join(known)}, got {entry.settlement!r:.80}"
        if entry.baseline not in (None, *methods):
            yield f"products.{name}.baseline: expected one of {', '.join(methods)}, got {entry.baseline!r:.80}"
        yield from _faults_of_terms(name, entry)


def _faults_of_terms(name: str, entry: ProductEntry) -> Iterator[str]:
    at = f"products.{name}"
    try:
        product_of(name, entry)
    except TermsFault as broken:
        for each in broken.faults:
            yield f"{at}.terms{each.pointer.replace('/', '.')}: {each.message}"
    shipped = SHIPPED.get(name)
    before = 0 if shipped is None or shipped.terms is None else shipped.terms.version
    if not entry.terms and entry.version is not None:
        yield f"{at}.version: expected terms, of which it is the version, got none"
    elif entry.terms and (entry.version or 1) <= before:
        got = "none" if entry.version is None else entry.version
        yield f"{at}.version: expected more than {before}, the version that ships, got {got}"
    for reserved in {"name", "version"} & entry.terms.keys():
        yield f"{at}.terms.{reserved}: expected no such key, got {entry.terms[reserved]!r:.60}"


def _shipped() -> dict[str, Product]:
    rows = tomllib.loads(files("gridsignal_services").joinpath("products.toml").read_text("utf-8"))
    beside = {"text": "", "settlement": _ref(STANDARD_RULE), "baseline": _ref(DECLARED)}
    found = {}
    for name, row in rows.items():
        said = {key: row.pop(key, usual) for key, usual in beside.items()}
        found[name] = _product(name, terms=ProductTerms.of(row | {"name": name}), **said)
    return found


SHIPPED: Mapping[str, Product] = _shipped()
"""The products that ship, by name."""
