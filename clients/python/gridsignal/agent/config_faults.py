"""What is wrong with a configuration: where it stands, what was expected and what was got. A decision."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from gridsignal_schemas.rules.shapes import shape_fault

Table: TypeAlias = type[BaseModel]
Kinds: TypeAlias = Mapping[str, Table]


def fault_in(error: Any, text: str, name: str, root: Table, kinds: Kinds) -> str:
    """Such as `site.toml: line 7: actuator.kind: expected ..., got ...`."""
    steps = [str(step) for step in error["loc"] if step not in kinds]
    if error["type"] == "union_tag_invalid":
        steps.append("kind")
        message = f"expected one of {error['ctx']['expected_tags']}, got {error['ctx']['tag']!r:.60}"
    elif error["type"] == "union_tag_not_found":
        message = "expected a kind, got none"
    else:
        message = shape_fault(error).message
    if error["type"] == "extra_forbidden":
        message = f"expected one of {', '.join(_fields(error['loc'][:-1], root, kinds))}, got {steps[-1]!r:.60}"
    return f"{place_of('.'.join(steps), text, name)}: {message}"


def place_of(key: str, text: str, name: str) -> str:
    """Where a key stands, such as `site.toml: line 7: actuator.file`."""
    line = _line(key.split("."), text)
    return f"{name}: {f'line {line}: ' if line else ''}{key}"


def _fields(loc: tuple[Any, ...], root: Table, kinds: Kinds) -> list[str]:
    """What may stand at this place."""
    table: Any = root
    for step in loc:
        found = table.model_fields.get(step) if step not in kinds else None
        if found is not None:
            table = next((each for each in _models(found.annotation) if each), table)
        elif step in kinds:
            table = kinds[step]
    return list(table.model_fields)


def _models(annotation: Any) -> list[Any]:
    args = getattr(annotation, "__args__", ())
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for each in args for model in _models(each)]


def _line(steps: list[str], text: str) -> int | None:
    """The line on which the innermost of these keys stands that is written in the file."""
    table, lines = "", text.splitlines()
    for depth in range(len(steps), 0, -1):
        for number, line in enumerate(lines, 1):
            if header := re.match(r"\s*\[([A-Za-z0-9_.\" -]+)\]", line):
                table = header[1].replace('"', "").replace(" ", "")
                if table == ".".join(steps[:depth]):
                    return number
            key = re.match(r"\s*\"?([A-Za-z0-9_-]+)\"?\s*=", line)
            if key is not None and f"{table}.{key[1]}".strip(".") == ".".join(steps[:depth]):
                return number
        table = ""
    return None
