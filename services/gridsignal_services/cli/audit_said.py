"""What `gridsignal audit` and `gridsignal settle` say of a log that was gone through: lines, or one JSON object."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from gridsignal.__main__ import OK
from gridsignal_schemas.values import text_of_decimal
from gridsignal_services.audit.checking import Checked

NOT_PROVEN = 1
UNKNOWN_KEY = "signed with {}: that it is the operator's you have to know from elsewhere (--key)"


def say(args: argparse.Namespace, result: dict[str, Any], lines: Sequence[str]) -> None:
    """Prints one or the other."""
    print(json.dumps(result, default=_plainly) if args.json else "\n".join(lines))


def say_checked(args: argparse.Namespace, found: Sequence[Checked], faults: Sequence[str], more: Sequence[str]) -> int:
    """What came of partitions: every fault, or what was checked and `more`; the exit code."""
    faults = [*faults, *(f"partition {each.partition}: {fault}" for each in found for fault in each.faults)]
    lines = [f"not proven: {fault}" for fault in faults] or [*(line for each in found for line in _lines_of(each))]
    result = {"proven": not faults, "faults": faults, "partitions": [asdict(each) for each in found]}
    say(args, result, lines if faults else [*lines, *more])
    return NOT_PROVEN if faults else OK


def _lines_of(checked: Checked) -> list[str]:
    lines = [
        f"partition {checked.partition}: {_so_many(checked.records, 'record')},"
        f" {_so_many(checked.heads, 'head')} {'fits' if checked.heads == 1 else 'fit'},"
        f" {_so_many(checked.clearings, 'clearing')} decided again, {_so_many(checked.settlements, 'settlement')}"
        f" and {_so_many(checked.baselines, 'baseline')} computed again with the same result"
    ]
    if checked.left:
        lines.append(f"  {checked.left} not computed again: readings that they are from are not kept any more")
    if checked.signatures:
        lines.append(f"  {checked.signatures} signatures of participants count")
    if checked.unchecked_signatures:
        lines.append(f"  {checked.unchecked_signatures} signatures of participants need a registry to be checked by")
    after = checked.records - checked.covered
    if after > 1:
        lines.append(f"  after the last head: {after} records that nothing covers yet")
    return lines


def _so_many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _plainly(value: object) -> str:
    assert isinstance(value, Decimal), "all else is JSON's own"
    return text_of_decimal(value)
