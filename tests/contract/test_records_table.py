"""records.toml: a row for each record, and facts about fields that the record has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from gridsignal_protocol.client.messages import Delivered
from gridsignal_schemas.catalog import TOPICS, avro_schema
from gridsignal_schemas.codes import CODES
from gridsignal_schemas.frames import CLIENT_FRAMES, Received, Refused
from gridsignal_schemas.messages import RECORDS
from gridsignal_schemas.records import DELIVERED, RECORD_OF_FRAME, ROWS

_NEEDED = {
    "participant": {"participant"},
    "operator": {"request_id"},
    "zone": {"zone"},
    "invited": {"zone", "request_id"},
    "site": {"zone", "participant", "site", "request_id"},
    "own": {"zone", "participant", "site"},
    "day": {"zone", "ends_at"},
    "end": {"ends_at"},
    "valid": {"valid_until"},
}


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_row_speaks_of_fields_that_its_record_has(name: str) -> None:
    row, record = ROWS[name], RECORDS[name]
    needed = {*row.identity, *row.named_by, *([row.facet] if row.facet else [])}
    for fact in (row.word_of, row.seen_by, row.newest_until):
        needed |= _NEEDED.get(fact or "", set())

    assert {field for field in needed if not hasattr(record, field)} <= record.model_fields.keys()  # or a property
    assert row.stream in TOPICS
    assert row.unknown in CODES
    assert row.newest_until is None or row.identity


@pytest.mark.parametrize("name", sorted(RECORD_OF_FRAME))
def test_a_write_is_a_frame_with_a_body_and_the_fields_that_name_its_record(name: str) -> None:
    fields = CLIENT_FRAMES[name].model_fields

    named_by = ROWS[RECORD_OF_FRAME[name]].named_by
    assert {"id", "body", *named_by} <= fields.keys()
    for answer in (Received, Refused):
        assert {"id", *named_by} <= answer.model_fields.keys()


def test_every_frame_with_a_body_is_a_write_of_whose_word_the_record_is() -> None:
    with_body = {name for name, frame in CLIENT_FRAMES.items() if "body" in frame.model_fields}

    assert with_body == RECORD_OF_FRAME.keys()
    assert {ROWS[record].word_of for record in RECORD_OF_FRAME.values()} == {"participant"}


def test_the_types_of_what_is_delivered_are_those_of_the_table() -> None:
    assert {record.__name__ for record in get_args(Delivered)} == set(DELIVERED)


_UNITS = ("_w", "_wh", "_s", "_per_min", "_per_mwh", "_per_kwh")
_OWN_COUNTS = {"revision", "request_revision", "version", "supersedes", "level", "readings", "cycle_no", "level_ppm"}
"""Numbers without a unit that say nothing of others: which version it is of a thing of one's own, or how many readings
of one's own."""
_NOT_SAID = {
    "BaselineFixed.readings_position",
    "OfferDecision.rank",
    "Settlement.inputs.position",
    "Settlement.inputs.readings_position",
}
"""Kept for older logs; nobody is told them any more."""


@pytest.mark.parametrize("name", DELIVERED)
def test_no_number_that_is_delivered_counts_what_others_did(name: str) -> None:
    numbers = {path for path in _numbers(avro_schema(name), name) if not path.endswith(_UNITS)}

    assert {path for path in numbers if path.rpartition(".")[2] not in _OWN_COUNTS} <= _NOT_SAID


def _numbers(schema: Any, path: str) -> Iterator[str]:
    """The paths of whole numbers in a schema, times not among them."""
    match schema:
        case {"type": "record", "fields": fields}:
            for field in fields:
                yield from _numbers(field["type"], f"{path}.{field['name']}")
        case {"type": "array", "items": inner} | {"type": dict() as inner}:
            yield from _numbers(inner, path)
        case list():
            for branch in schema:
                yield from _numbers(branch, path)
        case "int" | "long":
            yield path
