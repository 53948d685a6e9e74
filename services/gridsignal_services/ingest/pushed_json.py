"""What is pushed, as bodies of the door: read from JSON, and cut into days where the door finds one too long."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridsignal_schemas import strict_json
from gridsignal_schemas.values import rfc3339
from gridsignal_services.ingest.curves import Curve, by_day
from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.figures import instant, object_of
from gridsignal_services.ingest.left_out import LeftOutRows
from gridsignal_services.ingest.markets import market_of

_VALUES = {"prices": "prices_per_mwh", "carbon": "grams_per_kwh"}
_SIGNALS = {name: signal for signal, name in _VALUES.items()} | {"alert_id": "alerts"}


@dataclass(frozen=True, slots=True)
class Body:
    """What is posted, and to which of the door's routes: prices, carbon or alerts."""

    signal: str
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """For people: which series, from when."""
        what = self.content.get("dataset") or self.content.get("alert_id") or self.signal
        return f"{self.content.get('zone')} {what} {self.content.get('starts_at')}"


def of_json(text: str, left_out: LeftOutRows | None) -> list[Body]:
    """The bodies of a JSON text, one or a list of them. Raises Malformed.

    With `left_out` one that is none is told there, as long as another is left.
    """
    try:
        twisted = strict_json.faults_of(text.encode())
        value = json.loads(text)
    except (strict_json.NotJson, ValueError, RecursionError) as fault:
        raise Malformed(f"expected one JSON body or a list of them: {fault!s:.80}") from None
    if twisted:
        raise Malformed(f"{twisted[0].pointer}: {twisted[0].message}")
    contents = value if isinstance(value, list) else [value]
    if not contents:
        raise Malformed("expected at least one body, got an empty list")
    found: list[Body] = []
    faults: list[str] = []
    for number, content in enumerate(contents, 1):
        try:
            body = object_of(content, "each body")
            found.append(Body(_signal_of(body), body))
        except Malformed as fault:
            faults.append(f"body {number}: {fault}")
    few(faults, len(contents), left_out, most=len(contents) - 1)
    return found


def _signal_of(content: Mapping[str, Any]) -> str:
    named = [name for name in _SIGNALS if name in content]
    if len(named) != 1:
        raise Malformed(f"expected {' or '.join(_SIGNALS)}, got {', '.join(named or content)[:80]}")
    return _SIGNALS[named[0]]


def in_days(body: Body) -> list[Body]:
    """A series cut at its market's days; a body that is none, or not in shape, stays as it is."""
    name = _VALUES.get(body.signal, "")
    zone, start, step, values = (body.content.get(key) for key in ("zone", "starts_at", "resolution_s", name))
    match zone, start, step, values:
        case str(), str(), int(), list() if step > 0:
            try:
                days = by_day(Curve(instant(start), step, tuple(values)), market_of(zone).timezone)
            except (Malformed, OverflowError):
                return [body]
        case _:
            return [body]
    parts = ({"starts_at": rfc3339(day.starts_at), name: list(day.values)} for day in days)
    return [Body(body.signal, {**body.content, **part}) for part in parts]


def few(faults: Sequence[str], count: int, left_out: LeftOutRows | None, most: int) -> None:
    """Notes what is left out. Raises the first of the faults where they are too many of `count`, or nobody notes."""
    if faults and (left_out is None or len(faults) > most):
        others = f" ({len(faults)} of {count})" if len(faults) > 1 else ""
        raise Malformed(f"{faults[0]}{others}")
    if left_out is not None:
        for fault in faults:
            left_out.add(fault)
