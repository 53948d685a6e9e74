"""The list of schema ids only ever grows, and a log is read whatever version of the contract wrote it."""

from __future__ import annotations

import io
import json
import struct
from importlib.resources import files
from itertools import chain
from typing import Any

import fastavro
import pytest

from gridsignal_schemas.catalog import SUBJECTS, avro_schema
from gridsignal_services.bus import LogConfigurationError
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.schema_ids import (
    Lock,
    Locked,
    canonical_text,
    differences,
    extended,
    id_written,
    lock_text,
    read_lock,
    record_of,
)
from tests.builders import BUILDERS

OPTIONAL = [
    (subject, field["name"])
    for subject in SUBJECTS
    for field in avro_schema(record_of(subject))["fields"]
    if field.get("default", "required") is None
]


def before(subject: str, field: str) -> dict[str, Any]:
    """The schema of a version that did not have this field yet."""
    schema: dict[str, Any] = json.loads(canonical_text(avro_schema(record_of(subject))))
    defined = {each["name"]: each["type"] for each in schema["fields"]}[field][1]
    kept = json.dumps([each for each in schema["fields"] if each["name"] != field])
    if isinstance(defined, dict) and "name" in defined:  # who names it next defines it
        kept = kept.replace(json.dumps(defined["name"]), json.dumps(defined), 1)
    return schema | {"fields": json.loads(kept)}


def lock_before(subject: str, field: str) -> Lock:
    return read_lock() | {subject: [Locked(id_written(read_lock(), subject), canonical_text(before(subject, field)))]}


def ids(lock: Lock) -> list[int]:
    return [locked.id for locked in chain.from_iterable(lock.values())]


def test_the_committed_list_is_the_contracts() -> None:
    assert differences(read_lock()) == []


def test_the_committed_list_is_written_as_the_command_writes_it() -> None:
    text = files("gridsignal_schemas").joinpath("schema_ids.lock").read_text("utf-8")
    assert text == lock_text(read_lock()) == lock_text(extended(read_lock()))


def test_no_id_is_given_twice() -> None:
    assert len(set(ids(read_lock()))) == len(ids(read_lock()))


def test_a_new_subject_takes_the_next_id_and_the_others_keep_theirs() -> None:
    removed = SUBJECTS[2]
    rest = {subject: schemas for subject, schemas in read_lock().items() if subject != removed}
    grown = extended(rest)
    assert [locked.id for locked in grown[removed]] == [max(ids(rest)) + 1]
    assert {subject: grown[subject] for subject in rest} == rest


def test_a_list_that_lacks_a_schema_is_told_with_what_brings_it() -> None:
    subject, field = OPTIONAL[0]
    assert differences(lock_before(subject, field)) == [
        f"{subject}: expected its schema with an id, got 1 that it had before"
    ]
    assert differences(read_lock() | {subject: []}) == [f"{subject}: expected its schema with an id, got none"]


def test_a_record_is_never_taken_away() -> None:
    lock = read_lock() | {"gone-gridsignal.Gone": [Locked(99, "{}")]}
    with pytest.raises(LogConfigurationError, match=r"gone-gridsignal\.Gone: expected a subject of the contract"):
        extended(lock)


@pytest.mark.parametrize(("subject", "field"), OPTIONAL)
def test_a_record_that_has_one_more_field_has_one_more_id_and_what_was_written_before_is_read(
    subject: str, field: str
) -> None:
    old = lock_before(subject, field)
    lock = extended(old)
    assert lock[subject] == [*old[subject], Locked(max(ids(old)) + 1, canonical_text(avro_schema(record_of(subject))))]
    codec, record = Codec.from_lock(lock), BUILDERS[record_of(subject)]().model_copy(update={field: None})
    fields = record.model_dump()
    out = io.BytesIO()
    out.write(struct.pack(">bI", 0, old[subject][0].id))
    fastavro.schemaless_writer(out, fastavro.parse_schema(before(subject, field)), fields)
    read = codec.decode(out.getvalue())
    assert read == record
    assert struct.unpack_from(">bI", codec.encode(read)) == (0, lock[subject][-1].id)


def test_only_a_change_of_shape_is_another_text() -> None:
    schema = avro_schema("SpotPrice")
    redocumented = json.loads(json.dumps(schema)) | {"doc": "Other words."}
    assert canonical_text(redocumented) == canonical_text(schema)
    assert canonical_text(dict(reversed(schema.items()))) == canonical_text(schema)
    grown = json.loads(canonical_text(schema))
    grown["fields"][0]["default"] = "FR"
    assert canonical_text(grown) != canonical_text(schema)


def test_a_subject_names_its_record() -> None:
    assert [record_of(subject) for subject in SUBJECTS[:2]] == ["SpotPrice", "CarbonIntensity"]
