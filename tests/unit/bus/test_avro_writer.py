"""What is written is to the byte what fastavro writes."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridsignal_schemas.catalog import avro_schema
from gridsignal_schemas.messages import RECORDS
from gridsignal_services.bus.avro_writer import writer_of
from tests.contract.strategies import MONEY, any_of
from tests.effort import examples

SCHEMAS = {name: fastavro.parse_schema(avro_schema(name)) for name in RECORDS}
WRITERS = {name: writer_of(schema) for name, schema in SCHEMAS.items()}


def _by_fastavro(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


@settings(max_examples=examples(200))
@given(record=st.one_of(*map(any_of, RECORDS.values())))
def test_any_record_is_written_alike(record: Any) -> None:
    fields = record.model_dump()
    assert WRITERS[record.record_name](fields) == _by_fastavro(SCHEMAS[record.record_name], fields)


@example(amount=Decimal("-0.0128"))
@example(amount=Decimal("0.0128"))
@example(amount=Decimal("-0"))
@example(amount=Decimal("1E+3"))
@given(amount=MONEY)
def test_any_amount_is_written_alike(amount: Decimal) -> None:
    schema = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}
    assert writer_of(schema)(amount) == _by_fastavro(schema, amount)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (["int", "null"], None),
        (["int", "null"], -65),
        (["null", "string", "double"], 0.5),
        ({"type": "map", "values": "long"}, {"a": 2**40}),
        ({"type": "array", "items": ["null", "double"]}, [None, 1.5]),
        ({"type": "enum", "name": "Of", "symbols": [f"S{n}" for n in range(70)]}, "S69"),
        ("float", 0.5),
    ],
)
def test_what_another_version_of_the_contract_may_use_is_written_alike(schema: Any, value: Any) -> None:
    parsed = fastavro.parse_schema(schema)
    assert writer_of(parsed)(value) == _by_fastavro(parsed, value)


def test_a_type_that_is_named_twice_is_written_alike() -> None:
    inner = {"type": "record", "name": "Inner", "fields": [{"name": "n", "type": "long"}]}
    fields = [{"name": "one", "type": inner}, {"name": "other", "type": ["null", "Inner"]}]
    schema = fastavro.parse_schema({"type": "record", "name": "Outer", "fields": fields})
    value = {"one": {"n": 1}, "other": {"n": -300}}
    assert writer_of(schema)(value) == _by_fastavro(schema, value)
