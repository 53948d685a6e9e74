"""The list of schema ids: it only ever grows."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from gridsignal_schemas.catalog import SUBJECTS, avro_schema
from gridsignal_services.bus import LogConfigurationError
from gridsignal_services.bus.schema_ids import (
    Locked,
    canonical_text,
    differences,
    extended,
    fingerprint,
    lock_text,
    read_lock,
    record_of,
)


def test_the_committed_list_is_the_contracts() -> None:
    assert differences(read_lock()) == []


def test_the_committed_list_is_written_as_the_command_writes_it() -> None:
    assert files("gridsignal_schemas").joinpath("schema_ids.lock").read_text("utf-8") == lock_text(read_lock())


def test_no_id_is_given_twice() -> None:
    ids = [locked.id for locked in read_lock().values()]
    assert len(set(ids)) == len(ids)


def test_a_new_subject_takes_the_next_id_and_the_others_keep_theirs() -> None:
    lock = read_lock()
    removed = SUBJECTS[2]
    rest = {subject: locked for subject, locked in lock.items() if subject != removed}
    grown = extended(rest)
    assert grown[removed].id == max(locked.id for locked in rest.values()) + 1
    assert {subject: grown[subject] for subject in rest} == rest


def test_a_schema_that_changed_under_its_id_is_refused() -> None:
    changed = read_lock() | {SUBJECTS[0]: Locked(1, "0" * 64)}
    with pytest.raises(LogConfigurationError, match=r"SpotPrice: expected the schema with sha256 000000000000"):
        extended(changed)


def test_a_subject_that_vanished_is_told() -> None:
    assert differences(read_lock() | {"gone-gridsignal.Gone": Locked(99, "0" * 64)}) == [
        "gone-gridsignal.Gone: expected a schema, got none"
    ]


def test_only_a_change_of_shape_changes_the_fingerprint() -> None:
    schema = avro_schema("SpotPrice")
    redocumented = json.loads(json.dumps(schema)) | {"doc": "Other words."}
    assert fingerprint(redocumented) == fingerprint(schema)
    assert fingerprint(dict(reversed(schema.items()))) == fingerprint(schema)
    grown = json.loads(canonical_text(schema))
    grown["fields"][0]["default"] = "FR"
    assert fingerprint(grown) != fingerprint(schema)


def test_a_subject_names_its_record() -> None:
    assert [record_of(subject) for subject in SUBJECTS[:2]] == ["SpotPrice", "CarbonIntensity"]
