"""The golden examples: what every implementation, in any language, must read and write back unchanged."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import avro.io
import avro.schema
import fastavro
import pytest

from gridsignal_schemas.catalog import avro_schema, avro_text
from gridsignal_schemas.messages import RECORDS, TOLERANT, Record
from tests.builders import BUILDERS

FOLDER = files("gridsignal_schemas").joinpath("examples")
KINDS = ("ordinary", "nasty")
EXAMPLES = [(record, kind) for record in sorted(RECORDS) for kind in KINDS]
each_example = pytest.mark.parametrize(("record", "kind"), EXAMPLES)


def example(record: str, kind: str) -> str:
    return FOLDER.joinpath(f"{record}.{kind}.json").read_text("utf-8")


def to_avro(record: Record) -> bytes:
    out = io.BytesIO()
    schema = fastavro.parse_schema(avro_schema(record.record_name))
    fastavro.schemaless_writer(out, schema, record.model_dump(), strict=True)
    return out.getvalue()


def from_avro(name: str, value: bytes) -> Record:
    schema = fastavro.parse_schema(avro_schema(name))
    source = io.BytesIO(value)
    fields = fastavro.schemaless_reader(source, schema, None)
    assert source.read() == b"", "bytes left over"
    return RECORDS[name].model_validate(fields)


@each_example
def test_an_example_survives_json_to_model_to_json(record: str, kind: str) -> None:
    model = RECORDS[record].model_validate_json(example(record, kind))
    assert json.loads(model.model_dump_json()) == json.loads(example(record, kind))


@each_example
def test_an_example_survives_json_to_model_to_avro_to_model_to_json(record: str, kind: str) -> None:
    model = RECORDS[record].model_validate_json(example(record, kind))
    again = from_avro(record, to_avro(model))
    assert again == model
    assert json.loads(again.model_dump_json()) == json.loads(example(record, kind))


@each_example
def test_apaches_own_avro_reads_the_same_figures(record: str, kind: str) -> None:
    model = RECORDS[record].model_validate_json(example(record, kind))
    reader = avro.io.DatumReader(avro.schema.parse(avro_text(record)))
    fields = reader.read(avro.io.BinaryDecoder(io.BytesIO(to_avro(model))))
    assert RECORDS[record].model_validate(fields) == model


@each_example
def test_an_example_says_every_field_so_that_it_documents_the_record(record: str, kind: str) -> None:
    assert list(json.loads(example(record, kind))) == list(RECORDS[record].model_fields)


@each_example
def test_a_tolerant_reader_takes_what_a_newer_writer_adds(record: str, kind: str) -> None:
    fields = json.loads(example(record, kind))
    newer = json.dumps(fields | {"added_later": {"by": "a newer writer"}})
    model = RECORDS[record].model_validate_json(newer, extra="ignore", context=TOLERANT)
    assert json.loads(model.model_dump_json()) == fields


def test_each_record_has_an_ordinary_and_a_nasty_example_and_nothing_else_lies_there() -> None:
    assert {entry.name for entry in FOLDER.iterdir()} == {f"{record}.{kind}.json" for record, kind in EXAMPLES}


def test_the_builders_default_to_the_ordinary_examples() -> None:
    assert set(BUILDERS) == set(RECORDS)
    for record, build in BUILDERS.items():
        assert build() == RECORDS[record].model_validate_json(example(record, "ordinary"))


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(path, value) of everything in a value, lists folded together: options[].rest_s."""
    yield path, value
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for part in value:
            yield from leaves(part, f"{path}[]")


def nullable(schema: Any, path: str = "") -> Iterator[str]:
    """The paths that may be null."""
    if isinstance(schema, list):
        yield path
        for part in schema:
            yield from nullable(part, path)
    elif isinstance(schema, dict) and schema.get("type") == "record":
        for field in schema["fields"]:
            yield from nullable(field["type"], f"{path}.{field['name']}" if path else field["name"])
    elif isinstance(schema, dict) and schema.get("type") == "array":
        yield from nullable(schema["items"], f"{path}[]")


@pytest.mark.parametrize("record", sorted(RECORDS))
def test_the_examples_show_every_optional_field_with_and_without_a_value(record: str) -> None:
    schema = avro_schema(record)
    seen = [leaf for kind in KINDS for leaf in leaves(json.loads(example(record, kind)), "")]
    for path in set(nullable(schema)):
        values = [value for at, value in seen if at == path]
        assert None in values, f"{path} is never null"
        assert any(value is not None for value in values), f"{path} is always null"


def test_the_nasty_examples_hold_what_breaks_readers() -> None:
    price = json.loads(example("SpotPrice", "nasty"))
    assert len(price["prices_per_mwh"]) == 100, "a day of 25 hours has 100 quarter hours"
    assert {"-500", "0", "-0.0001", None, "99999999999999.9999"} <= set(price["prices_per_mwh"])
    assert len(json.loads(example("CarbonIntensity", "nasty"))["grams_per_kwh"]) == 92, "one of 23 has 92"
    offer = json.loads(example("FlexOffer", "nasty"))
    assert len(offer["options"]) == 8
    assert any(option["levels_w"] == [] for option in offer["options"])
    text = json.loads(example("GridAlert", "nasty"))["text"]
    assert len(text) == 512
    assert {"\t", "\n", "→", '"', "\\", "電", "🔋"} <= set(text)
