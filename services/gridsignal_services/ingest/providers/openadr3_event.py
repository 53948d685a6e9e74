"""An OpenADR 3.1 event as plain values, and what was told about the units of its payloads."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Event:
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
    units: Mapping[str, str | None]
    currencies: Mapping[str, str | None]
    spans: tuple[Span, ...]

    @property
    def order(self) -> tuple[int, float, str]:
        """The one that holds where two speak of the same time comes first: the urgent, then the newer."""
        issued_s = self.issued_at.timestamp() if self.issued_at else 0.0
        return self.priority, -issued_s, self.key

    def told(self) -> Iterator[tuple[Span, str, Any]]:
        """Every payload: its span, its type, its values as they came."""
        for span in self.spans:
            for payload in span.payloads:
                yield span, str(payload.get("type") or "").upper(), payload.get("values")

    def unique(self, span: Span, kind: str) -> str:
        """A name for what one payload says, the same whenever it is read."""
        place = f"{span.index}" if len(self.spans) <= span.index + 1 else f"{span.index}-{span.starts_at:%Y%m%d%H%M}"
        plain = f"openadr3-{self.key}-{place}"
        if kind == "request" or not _IDENTIFIER.fullmatch(self.key) or len(plain) > 64:
            return f"openadr3-{uuid.uuid5(_NAMESPACE, f'{self.key}|{place}|{kind}')}"
        return plain

    def watts(self, kind: str, value: object) -> int:
        """A power payload in watts; kilowatts where no unit was told."""
        unit = (self.units.get(kind) or "KW").upper()
        if unit not in _WATTS:
            raise Malformed(f"expected {kind} in KW, got {unit:.20}")
        return int((decimal_of(value) * _WATTS[unit]).to_integral_value())


Described = Mapping[str, Mapping[str, Any]]
"""Payload descriptors by their type."""


def _described(body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    told = list_of(body.get("payloadDescriptors") or [], "payloadDescriptors")
    return {str(one.get("payloadType")): one for one in (object_of(d, "a payloadDescriptor") for d in told)}


def is_undescribed(body: Mapping[str, Any]) -> bool:
    """Whether an event leaves its units to its program."""
    try:
        own = _described(body)
        intervals = list_of(body.get("intervals") or [], "intervals")
        kinds = {str(payload.get("type")) for interval in intervals for payload in interval.get("payloads") or []}
    except (Malformed, AttributeError, TypeError):
        return False  # it can't be read anyway
    return any(kind not in own or not _is_whole(kind, own[kind]) for kind in kinds & _WITH_UNITS)


def _is_whole(kind: str, descriptor: Mapping[str, Any]) -> bool:
    return bool(descriptor.get("units")) and (kind != "PRICE" or bool(descriptor.get("currency")))


def _told(name: str, own: Described, usual: Described) -> dict[str, str | None]:
    """What the event's descriptors say of each type, else its program's."""
    kinds = {*own, *usual}
    return {kind: own.get(kind, {}).get(name) or usual.get(kind, {}).get(name) for kind in kinds}


def event_of(value: object, ask: Ask, programs: Mapping[str, Mapping[str, Any]] | None = None) -> Event:
    """An event out of its JSON; what it leaves out its program says.

    Raises Unsupported for other objects and for OpenADR before 3.1.
    """
    body = object_of(value, "an event")
    _must_be_an_event(body)
    told_name, program = name(body.get("eventName")), name(body["programID"])
    if not program:
        raise Malformed("expected a programID, got nothing")
    usual = (programs or {}).get(str(body["programID"]), {})
    own, theirs = _described(body), _described(usual)
    issued_at = _time(body.get("modificationDateTime")) or _time(body.get("createdDateTime"))
    return Event(
        key=str(body.get("id") or told_name or program)[:128],
        program=program,
        name=told_name,
        priority=_priority(body.get("priority")),
        targets=_targets(body.get("targets")) or _targets(usual.get("targets")),
        issued_at=issued_at,
        units=_told("units", own, theirs),
        currencies=_told("currency", own, theirs),
        spans=tuple(spans(body, issued_at, ask)),
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
