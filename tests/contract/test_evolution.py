"""Every schema reads what any version wrote that was released or has an id, and the other way: FULL_TRANSITIVE."""

from __future__ import annotations

import copy
import io
import itertools
import json
from collections.abc import Callable
from typing import Any

import fastavro
import pytest

from gridsignal_schemas.catalog import avro_schema
from gridsignal_schemas.messages import RECORDS, TOLERANT, Direction, DispatchRequest
from gridsignal_services.bus.schema_ids import read_lock, record_of
from tests.builders import BUILDERS, a_dispatch_request
from tests.contract.evolution import RELEASED, Schema, faults_between, releases

CURRENT = {record: avro_schema(record) for record in RECORDS}


def field(schema: Schema, name: str) -> dict[str, Any]:
    (found,) = [each for each in schema["fields"] if each["name"] == name]
    return dict(found)


def changed(record: str, change: Callable[[Schema], object]) -> Schema:
    schema = copy.deepcopy(CURRENT[record])
    change(schema)
    return schema


def replace(name: str, /, **changes: Any) -> Callable[[Schema], None]:
    def change(schema: Schema) -> None:
        schema["fields"] = [each | changes if each["name"] == name else each for each in schema["fields"]]

    return change


def drop(name: str) -> Callable[[Schema], None]:
    def change(schema: Schema) -> None:
        schema["fields"] = [each for each in schema["fields"] if each["name"] != name]

    return change


def add(**new_field: Any) -> Callable[[Schema], None]:
    return lambda schema: schema["fields"].append(new_field)


def test_there_is_a_release_to_be_compatible_with() -> None:
    assert releases(), f"no released schemas in {RELEASED.name}"


@pytest.mark.parametrize("record", sorted(RECORDS))
def test_all_versions_of_a_record_read_each_other(record: str) -> None:
    versions = {version: schemas[record] for version, schemas in releases().items() if record in schemas}
    ((_, written),) = [each for each in read_lock().items() if record_of(each[0]) == record]
    versions |= {f"id {locked.id}": json.loads(locked.text) for locked in written}
    for (one, older), (other, newer) in itertools.combinations(versions.items(), 2):
        assert faults_between(older, newer) == [], f"{record}: {one} and {other}"


def test_a_released_record_is_never_taken_away() -> None:
    for version, schemas in releases().items():
        assert set(schemas) <= set(RECORDS), version


BROKEN = {
    "a required field comes": changed("SpotPrice", add(name="extra", type="string")),
    "a required field goes": changed("SpotPrice", drop("currency")),
    "a field is renamed": changed("SpotPrice", replace("currency", name="ccy")),
    "text becomes a number": changed("SpotPrice", replace("currency", type="int")),
    "a number is widened": changed("SpotPrice", replace("resolution_s", type="long")),
    "a number is narrowed": changed("MeterReading", replace("import_w", type="int")),
    "a field becomes optional": changed("SpotPrice", replace("currency", type=["null", "string"], default=None)),
    "an enum loses a symbol readers know": changed(
        "GridAlert", lambda schema: field(schema, "kind")["type"].update(symbols=["OTHER"], default="OTHER")
    ),
    "an enum loses its default": changed("GridAlert", lambda schema: field(schema, "kind")["type"].pop("default")),
    "money gets another scale": changed(
        "SpotPrice",
        replace(
            "prices_per_mwh",
            type={
                "type": "array",
                "items": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}],
            },
        ),
    ),
    "a time becomes milliseconds": changed(
        "SpotPrice", replace("starts_at", type={"type": "long", "logicalType": "timestamp-millis"})
    ),
    "an optional field of another type": changed("SpotPrice", replace("licence", type=["null", "int"])),
    "an added field has a default that is not null": changed(
        "SpotPrice", add(name="extra", type="string", default="none")
    ),
    "a nested record gets a required field": changed(
        "FlexOffer",
        lambda schema: field(schema, "options")["type"]["items"]["fields"].append({"name": "extra", "type": "int"}),
    ),
}


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_the_check_sees_when(case: str) -> None:
    broken = BROKEN[case]
    assert faults_between(CURRENT[broken["name"]], broken) != []
    assert faults_between(broken, CURRENT[broken["name"]]) != []


ALLOWED = {
    "an optional field comes": changed("SpotPrice", add(name="extra", type=["null", "string"], default=None)),
    "an optional field goes": changed("SpotPrice", drop("licence")),
    "an enum gets a symbol": changed(
        "GridAlert", lambda schema: field(schema, "kind")["type"]["symbols"].append("GEOMAGNETIC_STORM")
    ),
    "only the words change": changed("SpotPrice", lambda schema: schema.update(doc="other words")),
}


@pytest.mark.parametrize("case", sorted(ALLOWED))
def test_the_check_lets_pass_when(case: str) -> None:
    allowed = ALLOWED[case]
    assert faults_between(CURRENT[allowed["name"]], allowed) == []


def carried(fields: dict[str, Any], writer: Schema, reader: Schema) -> Any:
    """What a reader with its own schema makes of what a writer wrote."""
    wire = io.BytesIO()
    fastavro.schemaless_writer(wire, fastavro.parse_schema(writer), fields)
    wire.seek(0)
    return fastavro.schemaless_reader(wire, fastavro.parse_schema(writer), fastavro.parse_schema(reader))


@pytest.mark.parametrize("record", sorted(RECORDS))
def test_figures_pass_between_today_and_every_release(record: str) -> None:
    model = BUILDERS[record]()
    for schemas in releases().values():
        if record in schemas:
            assert (
                RECORDS[record].model_validate(carried(model.model_dump(), CURRENT[record], schemas[record])) == model
            )
            assert (
                RECORDS[record].model_validate(carried(model.model_dump(), schemas[record], CURRENT[record])) == model
            )


def test_an_old_reader_takes_a_symbol_it_does_not_know_for_unknown() -> None:
    newer = changed(
        "DispatchRequest", lambda schema: field(schema, "direction")["type"]["symbols"].append("LOAD_REACTIVE")
    )
    fields = a_dispatch_request().model_dump() | {"direction": "LOAD_REACTIVE"}
    read = DispatchRequest.model_validate(carried(fields, newer, CURRENT["DispatchRequest"]))
    assert read.direction is Direction.UNKNOWN


def test_an_old_json_reader_takes_a_symbol_it_does_not_know_for_unknown() -> None:
    text = a_dispatch_request().model_dump_json().replace("LOAD_DECREASE", "LOAD_REACTIVE")
    read = DispatchRequest.model_validate_json(text, extra="ignore", context=TOLERANT)
    assert read.direction is Direction.UNKNOWN
