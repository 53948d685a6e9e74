"""What may change in a schema: the rule of schemas/README.md, checked by Apache's own implementation and by us."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

RELEASED = Path(__file__).parents[2] / "schemas" / "released"

Schema = dict[str, Any]


def releases() -> dict[str, dict[str, Schema]]:
    """Every released schema: version -> record -> schema, oldest version first."""
    folders = [folder for folder in RELEASED.iterdir() if folder.is_dir()]
    folders.sort(key=lambda folder: tuple(int(part) for part in folder.name.split(".")))
    return {
        folder.name: {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.avsc"))}
        for folder in folders
    }


def faults_between(one: Schema, other: Schema) -> list[str]:
    """Why two versions of a record are not fully compatible; empty where each can read what the other wrote."""
    return [
        *(f"new reader, old writer: {fault}" for fault in _apache_faults(reader=other, writer=one)),
        *(f"old reader, new writer: {fault}" for fault in _apache_faults(reader=one, writer=other)),
        *_our_faults(one, other, ""),
    ]


def _apache_faults(reader: Schema, writer: Schema) -> list[str]:
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]  # its __init__ says no types
    result = checker.get_compatibility(_parsed(reader), _parsed(writer))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    kinds = sorted({str(kind.value) for kind in result.incompatibilities})
    return [f"{', '.join(kinds)} ({'; '.join(sorted(result.messages))})"]


def _parsed(schema: Schema) -> avro.schema.Schema:
    return avro.schema.parse(json.dumps(schema))


def _our_faults(one: Any, other: Any, path: str) -> list[str]:
    """What Apache's check lets pass: logical types, added fields that are not optional, widened numbers."""
    one, other = _plain(one), _plain(other)
    if isinstance(one, dict) and isinstance(other, dict) and one.get("type") == other.get("type") == "record":
        return _faults_of_fields(one, other, path)
    if isinstance(one, dict) and isinstance(other, dict) and one.get("type") == other.get("type") == "enum":
        return [f"{path}: an enum's default symbol changes"] if one.get("default") != other.get("default") else []
    if isinstance(one, dict) and isinstance(other, dict) and one.get("type") == other.get("type") == "array":
        return _our_faults(one["items"], other["items"], f"{path}[]")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [fault for a, b in zip(one, other, strict=True) for fault in _our_faults(a, b, path)]
    return [] if one == other else [f"{path}: {one} is not {other}"]


def _faults_of_fields(one: Schema, other: Schema, path: str) -> list[str]:
    ones, others = ({field["name"]: field for field in schema["fields"]} for schema in (one, other))
    faults = []
    for name in sorted(ones.keys() ^ others.keys()):
        field = ones.get(name) or others[name]
        if not (isinstance(field["type"], list) and field["type"][0] == "null" and field.get("default", 0) is None):
            faults.append(f"{path}.{name}: only an optional field (null first, default null) comes or goes")
    for name in sorted(ones.keys() & others.keys()):
        faults += _our_faults(ones[name]["type"], others[name]["type"], f"{path}.{name}")
        if ("default" in ones[name]) != ("default" in others[name]):
            faults.append(f"{path}.{name}: a default comes or goes")
    return faults


def _plain(schema: Any) -> Any:
    """{"type": "string"} is "string"."""
    return schema["type"] if isinstance(schema, dict) and set(schema) == {"type"} else schema
