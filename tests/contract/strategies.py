"""Any valid record or frame: hypothesis strategies derived from the models, as avro_shape derives their schemas."""

from __future__ import annotations

import types
import typing
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Any, Literal, TypeVar

from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

from gridsignal_schemas.values import EXACT_MAX, UNPRINTABLE, Once, Symbol, Within

M = TypeVar("M", bound=BaseModel)

MOST = 6
"""Items in a list: laws do not depend on length, the golden examples are long enough."""
LARGEST = Decimal("99999999999999.9999")
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TIMES = st.datetimes(datetime(1901, 1, 2), datetime(2199, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
PRINTABLE = st.characters(codec="utf-8").filter(lambda character: not UNPRINTABLE.match(character))
MONEY = st.decimals(-LARGEST, LARGEST, places=4, allow_nan=False, allow_infinity=False)


@cache
def any_of(model: type[M]) -> st.SearchStrategy[M]:
    """Any valid value of a model."""
    hints = typing.get_type_hints(model, include_extras=True)
    fields = {
        info.alias or name: _any(hints[name], {})
        if info.is_required()
        else st.just(info.default) | _any(hints[name], {})
        for name, info in model.model_fields.items()
    }
    return st.builds(model, **fields)


def _any(annotation: Any, bounds: dict[str, Any]) -> st.SearchStrategy[Any]:
    if annotation in (JsonValue, Any):
        return JSON
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _any(args[0], bounds | _bounds(args[1:]))
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([st.none() if arg is types.NoneType else _any(arg, bounds) for arg in args])
    if origin is list:
        most = min(bounds.get("max_length", MOST), MOST)
        unique_by = attrgetter(bounds["by"]) if "by" in bounds else None
        return st.lists(_any(args[0], {}), min_size=bounds.get("min_length", 0), max_size=most, unique_by=unique_by)
    if origin is dict:
        return st.dictionaries(_any(args[0], {}), _any(args[1], {}), max_size=3)
    if issubclass(annotation, BaseModel):
        return any_of(annotation)
    return st.sampled_from(list(annotation)) if issubclass(annotation, Symbol) else _plain(annotation, bounds)


def _plain(kind: type, bounds: dict[str, Any]) -> st.SearchStrategy[Any]:
    if kind is str and "pattern" in bounds:
        return st.from_regex(bounds["pattern"].removeprefix("^").removesuffix("$"), fullmatch=True)
    if kind is str:
        most = min(bounds.get("max_length", 40), 40)
        return st.text(PRINTABLE, min_size=bounds.get("min_length", 0), max_size=most)
    if kind is int:
        return st.integers(bounds.get("ge", -EXACT_MAX), bounds.get("le", EXACT_MAX))
    if kind is float:
        return st.floats(bounds.get("gt", 0), bounds.get("le", 1e300), exclude_min=True, allow_nan=False)
    if kind is Decimal and "ge" in bounds:
        return st.decimals(bounds["ge"], bounds["le"], places=4)
    return {bool: st.booleans(), datetime: TIMES, Decimal: MONEY}[kind]


def _bounds(extras: tuple[Any, ...]) -> dict[str, Any]:
    """The constraints in an annotation, by name."""
    found: dict[str, Any] = {}
    for extra in extras:
        if isinstance(extra, Within):
            found |= {"ge": extra.ge, "le": extra.le}
        if isinstance(extra, Once):
            found["by"] = extra.by
        for constraint in extra.metadata if isinstance(extra, FieldInfo) else ():
            for name in ("ge", "gt", "le", "min_length", "max_length", "pattern"):
                if (bound := getattr(constraint, name, None)) is not None:
                    found[name] = bound
    return found
