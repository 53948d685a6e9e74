"""How each type of the ledger's state is written: derived from the types themselves, so that no field can be left out.

A value is written in two steps. `hold` makes of what the reduce goes on to change something that nobody changes, at the
cost of a copy; `leaf` then says how JSON spells what JSON has no word for. `load` makes the value of what was read.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache, partial
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from gridsignal_schemas.messages import LOGGED, TOLERANT
from gridsignal_services.clock import from_micros, micros

_MICROSECOND = timedelta(microseconds=1)
_CONTEXT = LOGGED | TOLERANT
"""What was read from the log was valid there, by whichever version wrote it."""
_PLAIN = (str, int, bool, float, NoneType, None)


class Form(NamedTuple):
    """How a type is written and read."""

    hold: Callable[[Any], Any] | None = None
    """None: nobody changes such a value, it is held as it is."""
    load: Callable[[Any], Any] | None = None
    """None: JSON reads it as it is."""


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    """The types of a class's fields."""
    return get_type_hints(kind, localns={"array": {int: array}})  # Python 3.11 knows no array[int]


def leaf(value: object) -> object:
    """What JSON writes instead. Raises TypeError for what no state of the ledger is made of."""
    match value:
        case BaseModel():
            return value.model_dump_json(warnings=False)
        case datetime():
            return micros(value)
        case timedelta():
            return value // _MICROSECOND
        case Decimal():
            return str(value)
        case bytes():
            return b64encode(value).decode()
        case frozenset():
            return sorted(value)
        case _ if is_dataclass(value):
            return [getattr(value, field.name) for field in fields(value)]
    raise TypeError(f"expected a value of the ledger's state, got {type(value).__name__}")


@cache
def form_of(kind: Any) -> Form:
    """The form of a type. Raises TypeError for one that the ledger has not had so far."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _either([each for each in args if each is not NoneType])
    if origin is not None:
        return _container(origin, args)
    if kind in _PLAIN:
        return Form()
    if kind in _SCALARS:
        return _SCALARS[kind]
    if issubclass(kind, Enum):
        return Form(load=kind)
    if issubclass(kind, BaseModel):
        return Form(load=partial(kind.model_validate_json, context=_CONTEXT))
    hints = hints_of(kind)
    if issubclass(kind, tuple):
        forms = [form_of(hints[name]) for name in kind._fields]
        return Form(_hold_each(forms), lambda read: kind(*_loaded(forms, read)))
    names = [field.name for field in fields(kind)]
    forms = [form_of(hints[name]) for name in names]
    get = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)
    each = _hold_each(forms)
    if kind.__dataclass_params__.frozen and each is not None:
        raise TypeError(f"expected a frozen {kind.__name__} to be made of what nobody changes")
    if kind.__dataclass_params__.frozen:
        return Form(load=lambda read: kind(*_loaded(forms, read)))
    return Form(
        lambda value: get(value) if each is None else each(get(value)), lambda read: kind(*_loaded(forms, read))
    )


_SCALARS: dict[Any, Form] = {
    datetime: Form(load=from_micros),
    timedelta: Form(load=lambda read: read * _MICROSECOND),
    Decimal: Form(load=Decimal),
    bytes: Form(load=b64decode),
    array: Form(array.tolist, lambda read: array("q", read)),
    bytearray: Form(bytes, lambda read: bytearray(b64decode(read))),
}


def _either(kinds: list[Any]) -> Form:
    """One of several classes goes by its name; a single one, or none, by itself."""
    if len(kinds) == 1:
        form = form_of(kinds[0])
        return Form(form.hold and _unless_none(form.hold), form.load and _unless_none(form.load))
    holds = {kind: form_of(kind).hold or _same for kind in kinds}
    loads = {kind.__name__: form_of(kind).load or _same for kind in kinds}
    return Form(
        lambda value: None if value is None else (type(value).__name__, holds[type(value)](value)),
        lambda read: None if read is None else loads[read[0]](read[1]),
    )


def _container(origin: Any, args: tuple[Any, ...]) -> Form:
    if origin is tuple and args[-1] is not Ellipsis:
        forms = [form_of(arg) for arg in args]
        return Form(_hold_each(forms), lambda read: tuple(_loaded(forms, read)))
    if issubclass(origin, dict):
        key, value = (form_of(arg) for arg in (args[0], int if origin is Counter else args[1]))
        pair = _pairs(key, value)
        return Form(
            lambda held: pair.hold(held.items()),  # type: ignore[misc] # pairs always are held
            lambda read: origin(dict(pair.load(read))),  # type: ignore[misc] # and loaded
        )
    if origin not in (list, deque, tuple, frozenset):
        raise TypeError(f"expected a container of the ledger's state, got {origin}")
    item = form_of(args[0])
    hold = None if origin in (tuple, frozenset) and item.hold is None else _hold_all(item.hold)
    load = item.load
    return Form(hold, lambda read: origin(read) if load is None else origin(map(load, read)))


def _pairs(key: Form, value: Form) -> Form:
    hold, load = value.hold, value.load or _same
    load_key = key.load or _same
    return Form(
        list if hold is None else lambda items: [(name, hold(held)) for name, held in items],
        lambda read: [(load_key(name), load(held)) for name, held in read],
    )


def _hold_all(hold: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    return list if hold is None else lambda values: [hold(value) for value in values]


def _hold_each(forms: list[Form]) -> Callable[[Any], Any] | None:
    """Of a fixed number of values; None where nobody changes any of them."""
    changing = [(at, form.hold) for at, form in enumerate(forms) if form.hold is not None]
    if not changing:
        return None

    def held(values: Any) -> list[Any]:
        copied = list(values)
        for at, hold in changing:
            copied[at] = hold(copied[at])
        return copied

    return held


def _loaded(forms: list[Form], read: list[Any]) -> list[Any]:
    return [value if form.load is None else form.load(value) for form, value in zip(forms, read, strict=True)]


def _unless_none(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else function(value)


def _same(value: Any) -> Any:
    return value
