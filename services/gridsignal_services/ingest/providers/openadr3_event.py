"""An OpenADR 3.1 event as plain values, and what was told about the units of its payloads."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from gridsignal_services.ingest.elements import each
from gridsignal_services.ingest.feed import Ask, Malformed, Unsupported
from gridsignal_services.ingest.figures import decimal_of, instant, list_of, name, object_of
from gridsignal_services.ingest.providers.openadr3_timeline import Span, spans

_NAMESPACE = uuid.UUID("3f0b2f0e-6d52-5f0c-9a55-8d3a0c3a4f11")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,40}")
_WATTS = {"W": 1, "KW": 1000, "MW": 1_000_000}
_LAST = 2**31
_WITH_UNITS = frozenset(
    {"PRICE", "GHG", "DISPATCH_SETPOINT", "DISPATCH_SETPOINT_RELATIVE", "IMPORT_CAPACITY_LIMIT", "EXPORT_PRICE"}
)


HIDDEN = 403
"""The status of a program that is there and that we may not read."""

Described = Mapping[str, Mapping[str, Any]]
"""Payload descriptors by their type."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One payload: what it says, and in which unit and currency, told by itself, its interval, event or program."""

    span: Span
    kind: str
    values: object
    unit: str
    """Empty where nobody says it."""
    currency: str

    def watts(self, value: object) -> int:
        """A power in watts; kilowatts where no unit was told."""
        unit = self.unit or "KW"
        if unit not in _WATTS:
            raise Malformed(f"expected {self.kind} in KW, got {unit:.20}")
        return int((decimal_of(value) * _WATTS[unit]).to_integral_value())


@dataclass(frozen=True, slots=True)
class OpenAdrEvent:
    """One event: who it is for, how urgent, and its spans."""

    key: str
    """Its id; of one that has none yet, its name."""
    program: str
    name: str
    priority: int
    """0 comes first; one without comes last."""
    targets: tuple[str, ...]
    """Empty: everybody."""
    issued_at: datetime | None
    spans: tuple[Span, ...]
    payloads: tuple[Payload, ...]
    """Every payload that can be read."""
    units_unknown: bool = False
    """The program, which may say the units, may not be read by us."""

    @property
    def order(self) -> tuple[int, float, str]:
        """The one that holds where two speak of the same time comes first: the urgent, then the newer."""
        issued_s = self.issued_at.timestamp() if self.issued_at else 0.0
        return self.priority, -issued_s, self.key

    def unique(self, span: Span, kind: str) -> str:
        """A name for what one payload says, the same whenever it is read."""
        place = f"{span.index}" if len(self.spans) <= span.index + 1 else f"{span.index}-{span.starts_at:%Y%m%d%H%M}"
        plain = f"openadr3-{self.key}-{place}"
        if kind == "request" or not _IDENTIFIER.fullmatch(self.key) or len(plain) > 64:
            return f"openadr3-{uuid.uuid5(_NAMESPACE, f'{self.key}|{place}|{kind}')}"
        return plain


def _kind(name: object) -> str:
    return str(name or "").strip().upper()


def _first(name: str, sources: Iterable[Mapping[str, Any]]) -> str:
    """What the nearest of them says, in capitals; empty where none does."""
    return next((str(source[name]).strip().upper() for source in sources if source.get(name)), "")


def _described(descriptors: object) -> dict[str, Mapping[str, Any]]:
    """Descriptors of events by their type. Raises Malformed where two of one type disagree: either were a guess."""
    found: dict[str, Mapping[str, Any]] = {}
    for one in (object_of(d, "a payloadDescriptor") for d in list_of(descriptors or [], "payloadDescriptors")):
        if _kind(one.get("objectType")).startswith("REPORT"):
            continue
        kind = _kind(one.get("payloadType"))
        before = found.setdefault(kind, one)
        for fact in ("units", "currency"):
            if (got := {_first(fact, [before]), _first(fact, [one])} - {""}) and len(got) > 1:
                raise Malformed(f"expected one of the {fact} of {kind:.40}, got {' and '.join(sorted(got))[:40]}")
        found[kind] = {**one, **{key: value for key, value in before.items() if value}}
    return found


def is_undescribed(body: Mapping[str, Any]) -> bool:
    """Whether an event leaves its units to its program."""
    try:
        above = _described(body.get("payloadDescriptors"))
        intervals = [object_of(one, "an interval") for one in list_of(body.get("intervals") or [], "intervals")]
        for one in intervals:
            own = _described(one.get("payloadDescriptors"))
            for payload in (object_of(p, "a payload") for p in list_of(one.get("payloads") or [], "payloads")):
                kind = _kind(payload.get("type"))
                sources = (payload, own.get(kind, {}), above.get(kind, {}))
                needed = ("units", "currency") if kind == "PRICE" else ("units",)
                if kind in _WITH_UNITS and not all(_first(name, sources) for name in needed):
                    return True
    except Malformed:
        pass  # it can't be read anyway
    return False


def _over(own: Described, usual: Described) -> Described:
    """What the event says of each type, else its program."""
    merged: dict[str, Mapping[str, Any]] = dict(usual)
    for kind, one in own.items():
        merged[kind] = {**usual.get(kind, {}), **{name: value for name, value in one.items() if value}}
    return merged


def _payloads(spans: Iterable[Span], above: Described, name: str, ask: Ask) -> Iterator[Payload]:
    described = each(spans, f"{name}, interval", lambda span: (span, _described(span.descriptors)), ask, some=False)
    for span, own in described:
        read = partial(_payload, span, own, above)
        yield from each(span.payloads, f"{name}, interval {span.index + 1}, payload", read, ask, some=False)


def _payload(span: Span, own: Described, above: Described, value: object) -> Payload:
    payload = object_of(value, "a payload")
    kind = _kind(payload.get("type"))
    if not kind:
        raise Malformed(f"expected the type of a payload, got none beside {', '.join(sorted(payload))[:60]}")
    sources = (payload, own.get(kind, {}), above.get(kind, {}))
    unit, currency = (_first(name, sources) for name in ("units", "currency"))
    return Payload(span, kind, payload.get("values"), unit, currency)


Program = dict[str, Any] | str | int
"""A program as its VTN tells it, why it could not be read, or HIDDEN."""


def event_of(value: object, ask: Ask, programs: Mapping[str, Program] | None = None) -> OpenAdrEvent:
    """An event out of its JSON; what it leaves out its program says.

    Raises Unsupported for other objects and for OpenADR before 3.1, Malformed also where its program can't be read.
    """
    body = object_of(value, "an event")
    _must_be_an_event(body)
    told_name, program = name(body.get("eventName")), name(body["programID"])
    if not program:
        raise Malformed("expected a programID, got nothing")
    found = (programs or {}).get(str(body["programID"]), {})
    if isinstance(found, str):
        raise Malformed(found)
    usual = found if isinstance(found, dict) else {}
    own, theirs = _described(body.get("payloadDescriptors")), _described(usual.get("payloadDescriptors"))
    issued_at = _time(body.get("modificationDateTime")) or _time(body.get("createdDateTime"))
    key = str(body.get("id") or told_name or program)[:128]
    in_order = tuple(spans(body, issued_at, ask))
    return OpenAdrEvent(
        key=key,
        program=program,
        name=told_name,
        priority=_priority(body.get("priority")),
        targets=_targets(body.get("targets")) or _targets(usual.get("targets")),
        issued_at=issued_at,
        spans=in_order,
        payloads=tuple(_payloads(in_order, _over(own, theirs), f"event {key:.60}", ask)),
        units_unknown=found == HIDDEN,
    )


def _must_be_an_event(body: dict[str, Any]) -> None:
    kind = str(body.get("objectType") or "EVENT")
    if kind != "EVENT" or "programID" not in body or "reportName" in body or "resources" in body:
        got = kind if kind != "EVENT" else ", ".join(sorted(body))
        raise Unsupported(f"expected events of a VTN, got {got:.100}")


def _time(value: object) -> datetime | None:
    """When a VTN says it made or changed the event; some say only the time of day, or no offset, which is no time."""
    try:
        return instant(value)
    except Malformed:
        return None


def _priority(value: object) -> int:
    if value is None:
        return _LAST
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _LAST:
        raise Malformed(f"expected a priority from 0 on, got {value!r:.20}")
    return value


def _targets(value: object) -> tuple[str, ...]:
    targets = list_of(value or [], "targets")
    if any(isinstance(target, dict) for target in targets):
        raise Unsupported("expected OpenADR 3.1, whose targets are names; got 3.0")
    return tuple(str(target) for target in targets)


def number(values: list[Any], kind: str) -> Decimal:
    """The one number of a payload."""
    if len(values) != 1:
        raise Malformed(f"expected one value of {kind}, got {len(values)}")
    return decimal_of(values[0])
