"""The quota of Kueue's ClusterQueues while Jobs are paused. Pure.

Who pauses a Job sets its quota free, and the next in the queue would start with it: so the quota is lowered by just
that much first, and raised again as Jobs come back. Whoever else has quota keeps it, and has as much room beside as
before. What was there stands in the annotation `gridsignal/lowered`, written together with the quota.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from decimal import ROUND_CEILING, Decimal
from typing import Any

LOWERED = "gridsignal/lowered"
_NOMINAL, _LENDING = "nominalQuota", "lendingLimit"
_SUFFIX = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1)}
_SUFFIX |= {name: Decimal(1000) ** n for n, name in enumerate(("k", "M", "G", "T", "P", "E"), 1)}
_SUFFIX |= {f"{name}i": Decimal(1024) ** n for n, name in enumerate(("K", "M", "G", "T", "P", "E"), 1)}
_MOST = Decimal(10) ** 24
"""More than any cluster has of anything: beyond that, arithmetic takes the machine's memory."""
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([numkKMGTPE]?i?)")
Amounts = dict[str, Decimal]
"""By flavor and resource, with a | between them."""


def quantity(text: str | int) -> Decimal:
    """A number as Kubernetes writes it: 8, "500m", "64Gi". Raises ValueError."""
    found = _QUANTITY.fullmatch(str(text))
    try:
        if found is None or found[2] not in _SUFFIX:
            raise ValueError
        amount = Decimal(found[1]) * _SUFFIX[found[2]]
        if abs(amount) > _MOST:
            raise ValueError
        return amount
    except (ValueError, ArithmeticError):
        raise ValueError(f"expected a quantity such as 8, 500m or 64Gi, got {text!r:.40}") from None


def written(amount: Decimal) -> str:
    """As Kubernetes takes it: whole, or in thousandths, rounded up."""
    thousandths = int((amount * 1000).to_integral_value(ROUND_CEILING))
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def usage_of(admission: Mapping[str, Any]) -> Amounts:
    """What a Workload has been admitted with."""
    found: Amounts = {}
    for podset in admission.get("podSetAssignments") or ():
        flavors = podset.get("flavors") or {}
        for resource, amount in (podset.get("resourceUsage") or {}).items():
            path = f"{flavors.get(resource, '')}|{resource}"
            found[path] = found.get(path, Decimal(0)) + quantity(amount)
    return found


def summed(usages: Iterable[Mapping[str, Decimal]]) -> Amounts:
    """All of them together."""
    found: Amounts = {}
    for usage in usages:
        for path, amount in usage.items():
            found[path] = found.get(path, Decimal(0)) + amount
    return found


def lowered(queue: Mapping[str, Any], freed: Mapping[str, Decimal], others: Mapping[str, Decimal]) -> Any:
    """The change of a ClusterQueue with which paused Jobs have set so much free; None where it is so already.

    `others`: what those use who go on, below which no quota goes. A quota that somebody has changed meanwhile is
    theirs: it counts as what was there.
    """
    noted = _noted(queue)
    groups, notes = deepcopy(queue["spec"].get("resourceGroups") or []), dict[str, list[str]]()
    for group in groups:
        for flavor in group["flavors"]:
            for resource in flavor["resources"]:
                path = f"{flavor['name']}|{resource['name']}"
                was = {name: _was(resource, name, noted.get(f"{path}|{name}")) for name in (_NOMINAL, _LENDING)}
                nominal = quantity(was[_NOMINAL] or 0)
                least = min(nominal, others.get(path, Decimal(0)))
                becomes = {_NOMINAL: max(nominal - freed.get(path, Decimal(0)), least, Decimal(0))}
                if (lending := was[_LENDING]) is not None:
                    becomes[_LENDING] = min(quantity(lending), becomes[_NOMINAL])
                for name, amount in becomes.items():
                    is_lower = amount < quantity(was[name] or 0)
                    resource[name] = written(amount) if is_lower else was[name]
                    if is_lower:
                        notes[f"{path}|{name}"] = [str(was[name]), written(amount)]
    if notes == noted and _says(groups) == _says(queue["spec"].get("resourceGroups") or []):
        return None
    note = json.dumps(notes, sort_keys=True) if notes else None
    return {"metadata": {"annotations": {LOWERED: note}}, "spec": {"resourceGroups": groups}}


def _was(resource: Mapping[str, Any], name: str, noted: list[str] | None) -> str | None:
    """What stands there, or stood there before it was lowered."""
    stands = resource.get(name)
    if stands is None:
        return None
    return noted[0] if noted is not None and quantity(stands) == quantity(noted[1]) else str(stands)


def _noted(queue: Mapping[str, Any]) -> dict[str, list[str]]:
    """What was lowered, and to what; a note that can't be read is none."""
    try:
        told = json.loads((queue["metadata"].get("annotations") or {}).get(LOWERED) or "{}")
        found = {str(path): [str(was), str(now)] for path, (was, now) in told.items()}
        for was, now in found.values():
            quantity(was), quantity(now)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return found


def _says(groups: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str, Decimal | None]]:
    return [
        (flavor["name"], resource["name"], name, None if resource.get(name) is None else quantity(resource[name]))
        for group in groups
        for flavor in group["flavors"]
        for resource in flavor["resources"]
        for name in (_NOMINAL, _LENDING)
    ]
