"""The .avsc files are the law; the Python models are proved equal to them: shape, order, defaults, words."""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from pydantic import BaseModel

from gridsignal_schemas.catalog import avro_schema, avro_text
from gridsignal_schemas.messages import RECORDS
from tests.contract.avro_shape import shape_of

NAMES = sorted(RECORDS)


def without_docs(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: without_docs(value) for key, value in schema.items() if key != "doc"}
    return [without_docs(part) for part in schema] if isinstance(schema, list) else schema


def named_types(schema: Any) -> Iterator[dict[str, Any]]:
    """Every record and enum in a schema, the schema itself included."""
    if isinstance(schema, dict):
        if schema.get("type") in ("record", "enum"):
            yield schema
        for part in schema.values():
            yield from named_types(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from named_types(part)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from models_of(annotation)
    for part in typing.get_args(annotation):
        if not isinstance(annotation, types.GenericAlias) or part is not annotation:
            yield from models_in(part)


def models_of(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and the models it is made of."""
    yield model
    for field in model.model_fields.values():
        yield from models_in(field.annotation)


def described(description: str | None) -> str:
    return " ".join((description or "").split())


@pytest.mark.parametrize("record", NAMES)
def test_a_model_has_the_names_order_nullability_defaults_and_types_of_its_schema(record: str) -> None:
    assert shape_of(RECORDS[record]) == without_docs(avro_schema(record))


@pytest.mark.parametrize("record", NAMES)
def test_the_words_in_a_schema_are_the_words_of_its_model(record: str) -> None:
    models = {model.__name__: model for model in models_of(RECORDS[record])}
    for schema in named_types(avro_schema(record)):
        if schema["type"] == "enum":
            continue
        model = models[schema["name"]]
        assert described(schema["doc"]) == described(inspect.getdoc(model))
        for field in schema["fields"]:
            description = described(model.model_fields[field["name"]].description)
            assert description, f"{schema['name']}.{field['name']} has no docstring"
            assert described(field["doc"]) == description, f"{schema['name']}.{field['name']}"


@pytest.mark.parametrize("record", NAMES)
def test_every_enum_starts_with_unknown_and_falls_back_to_it(record: str) -> None:
    for enum in named_types(avro_schema(record)):
        if enum["type"] == "enum":
            assert enum["symbols"][0] == enum["default"] == "UNKNOWN"


@pytest.mark.parametrize("record", NAMES)
def test_a_schema_holds_nothing_that_a_few_bytes_can_blow_up(record: str) -> None:
    def look(schema: Any) -> None:
        if isinstance(schema, dict):
            assert not (schema.get("type") == "array" and schema["items"] in ("null", [])), "an array of nothing"
            for part in schema.values():
                look(part)
        elif isinstance(schema, list):
            for part in schema:
                look(part)

    look(avro_schema(record))
    names = [schema["name"] for schema in named_types(avro_schema(record))]
    assert len(names) == len(set(names)), "a type is defined twice"


def test_every_record_has_one_schema_and_every_schema_one_record() -> None:
    found = {entry.name for entry in files("gridsignal_schemas").joinpath("avro").iterdir()}
    assert found == {f"{record}.avsc" for record in RECORDS}


@pytest.mark.parametrize("record", NAMES)
def test_a_schema_is_written_for_reviewers(record: str) -> None:
    text = avro_text(record)
    assert text.endswith("}\n")
    assert "\t" not in text
    assert json.loads(text)["namespace"] == "gridsignal"
    assert json.loads(text)["name"] == record
