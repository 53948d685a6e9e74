"""A record's exact Avro bytes by a schema that is named by its fingerprint: what a signature is over.

Needs fastavro (the extra `signing`). Nothing else of the contract imports this module.

Bounded: by the schemas of the lock file, parsed once each.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from gridsignal_schemas.catalog import avro_schema
from gridsignal_schemas.messages import LOGGED
from gridsignal_schemas.values import Record


@dataclass(frozen=True, slots=True)
class _Shape:
    record: str
    schema: Any
    """Parsed."""


def fingerprint_of(schema: dict[str, Any]) -> str:
    """SHA-256 of a schema's Parsing Canonical Form, hex: how the Avro specification names a schema."""
    return str(fingerprint(to_parsing_canonical_form(schema), "SHA-256"))


@cache
def newest(record_name: str) -> str:
    """The fingerprint of the schema that this version writes a record with."""
    return fingerprint_of(avro_schema(record_name))


def payload_of(record: Record, schema: str) -> bytes | None:
    """The record's Avro binary, without framing, as who has the schema of this fingerprint writes it.

    None where no such schema of this record was ever released, or the record says what that schema can't.
    """
    shape = _shapes().get(schema)
    if shape is None or shape.record != record.record_name:
        return None
    out = io.BytesIO()
    fastavro.schemaless_writer(out, shape.schema, record.model_dump(warnings=False))
    payload = out.getvalue()
    if schema != newest(record.record_name) and _read(type(record), shape, payload) != record:
        return None
    return payload


def _read(model: type[Record], shape: _Shape, payload: bytes) -> Record:
    return model.model_validate(fastavro.schemaless_reader(io.BytesIO(payload), shape.schema), context=LOGGED)


@cache
def _shapes() -> dict[str, _Shape]:
    """Every schema that records were ever written with, by fingerprint."""
    lock = json.loads(files("gridsignal_schemas").joinpath("schema_ids.lock").read_text("utf-8"))
    return {
        fingerprint_of(row["schema"]): _Shape(subject.rpartition(".")[2], fastavro.parse_schema(row["schema"]))
        for subject, rows in lock.items()
        for row in rows
    }
