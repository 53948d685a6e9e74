"""Derives the Avro shape of a record from its Python model: what test_models_are_the_schemas compares."""

from __future__ import annotations

import types
import typing
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gridsignal_schemas.values import INT32_MAX, Symbol

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}
TIMESTAMP = {"type": "long", "logicalType": "timestamp-micros"}


def shape_of(model: type[BaseModel]) -> dict[str, Any]:
    """The record's Avro schema as plain data, without docs."""
    return _record(model, seen=set(), namespace="gridsignal")


def _record(model: type[BaseModel], seen: set[str], namespace: str | None = None) -> dict[str, Any]:
    seen.add(model.__name__)
    record: dict[str, Any] = {"type": "record", "name": model.__name__}
    if namespace:
        record["namespace"] = namespace
    hints = typing.get_type_hints(model, include_extras=True)
    record["fields"] = [_field(name, hints[name], info, seen) for name, info in model.model_fields.items()]
    return record


def _field(name: str, annotation: Any, info: FieldInfo, seen: set[str]) -> dict[str, Any]:
    field: dict[str, Any] = {"name": name, "type": _type(annotation, seen)}
    if info.default is not PydanticUndefined:
        field["default"] = info.default
    return field


def _type(annotation: Any, seen: set[str], bound: int | None = None) -> Any:
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *extras = typing.get_args(annotation)
        return _type(inner, seen, bound=_upper_bound(extras) or bound)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        (inner,) = [arg for arg in args if arg is not types.NoneType]
        return ["null", _type(inner, seen)]
    if origin is list:
        return {"type": "array", "items": _type(args[0], seen)}
    if origin is dict:
        return {"type": "map", "values": _type(args[1], seen)}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.__name__ if annotation.__name__ in seen else _record(annotation, seen)
    if isinstance(annotation, type) and issubclass(annotation, Symbol):
        if annotation.__name__ in seen:
            return annotation.__name__
        seen.add(annotation.__name__)
        return {"type": "enum", "name": annotation.__name__, "symbols": list(annotation), "default": "UNKNOWN"}
    plain = {str: "string", bool: "boolean", float: "double", datetime: TIMESTAMP, Decimal: DECIMAL}
    if annotation is int:
        return "int" if bound is not None and bound <= INT32_MAX else "long"
    return plain[annotation]


def _upper_bound(extras: list[Any]) -> int | None:
    for extra in extras:
        if isinstance(extra, FieldInfo):
            for constraint in extra.metadata:
                if getattr(constraint, "le", None) is not None:
                    return int(constraint.le)
    return None
