"""What holds for every valid record, frame, amount and time, not only for those we thought of."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gridsignal_schemas import strict_json
from gridsignal_schemas.catalog import partition_of
from gridsignal_schemas.frames import CLIENT_FRAMES, SERVER_FRAMES
from gridsignal_schemas.messages import RECORDS, TOLERANT
from gridsignal_schemas.values import Money, Timestamp, text_of_decimal
from gridsignal_services.bus.codec import Codec
from tests.builders import BUILDERS
from tests.contract.strategies import JSON, MONEY, any_of
from tests.effort import examples

CODEC = Codec.from_lock()
FRAMES = {**CLIENT_FRAMES, **SERVER_FRAMES}
CANONICAL = re.compile(r"0|-?(0|[1-9][0-9]{0,13})(\.[0-9]{0,3}[1-9])?")
MONEY_OF_JSON: TypeAdapter[Decimal] = TypeAdapter(Money)
TIME_OF_JSON: TypeAdapter[datetime] = TypeAdapter(Timestamp)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize("name", sorted(RECORDS))
@settings(max_examples=examples(40))
@given(values=st.data())
def test_any_record_survives_json_and_avro(name: str, values: st.DataObject) -> None:
    record = values.draw(any_of(RECORDS[name]))
    text = record.model_dump_json()
    assert RECORDS[name].model_validate_json(text) == record
    wire = CODEC.encode(record)
    again = CODEC.decode(wire)
    assert again == record
    assert again.model_dump_json() == text, "the same record has two spellings"
    assert CODEC.encode(again) == wire


@pytest.mark.parametrize("name", sorted(RECORDS))
@settings(max_examples=examples(40))
@given(values=st.data())
def test_a_reader_ignores_what_it_does_not_know_where_it_is_told_to(name: str, values: st.DataObject) -> None:
    record = values.draw(any_of(RECORDS[name]))
    newer = json.dumps(json.loads(record.model_dump_json()) | {"added_later": values.draw(JSON)})
    assert RECORDS[name].model_validate_json(newer, extra="ignore", context=TOLERANT) == record
    with pytest.raises(ValidationError, match="added_later"):
        RECORDS[name].model_validate_json(newer)


@pytest.mark.parametrize("name", sorted(FRAMES))
@settings(max_examples=examples(40))
@given(values=st.data())
def test_any_frame_survives_the_wire_and_unknown_fields(name: str, values: st.DataObject) -> None:
    frame = values.draw(any_of(FRAMES[name]))
    text = frame.encode()
    assert json.loads(text)["t"] == name
    assert FRAMES[name].model_validate_json(text) == frame
    newer = json.dumps(json.loads(text) | {"added_later": values.draw(JSON)})
    assert FRAMES[name].model_validate_json(newer) == frame


@example(amount=Decimal("-0"))
@example(amount=Decimal("-0.0000"))
@example(amount=Decimal("1E+3"))
@example(amount=Decimal("54.500000"))
@given(amount=MONEY)
def test_an_amount_has_one_spelling(amount: Decimal) -> None:
    text = text_of_decimal(amount)
    assert CANONICAL.fullmatch(text)
    assert text != "-0"
    read = MONEY_OF_JSON.validate_python(text)
    assert read == amount
    assert text_of_decimal(read) == text
    assert text_of_decimal(amount.normalize()) == text


@pytest.mark.parametrize(
    "amount",
    ["1e3", "NaN", "Infinity", "1.00001", "100000000000000", "+1", "1.", ".5", "", " 1", "1 ", "٣", 1, 1.5, None],
)
def test_what_is_no_amount_is_refused(amount: object) -> None:
    with pytest.raises(ValidationError):
        MONEY_OF_JSON.validate_python(amount)


@pytest.mark.parametrize("text", ["1900-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"])
def test_a_time_outside_the_age_of_power_grids_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="between the years"):
        TIME_OF_JSON.validate_python(text)


AGE = datetime(1901, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""The first instant that is taken, and the first that is not any more."""
AT_A_BOUND = st.builds(
    lambda bound, seconds: bound + timedelta(seconds=seconds), st.sampled_from(AGE), st.integers(-86_400, 86_400)
)
ANY_OFFSET = st.integers(-1439, 1439)
"""Minutes: what RFC 3339 can spell."""


def spelled(instant: datetime, minutes: int) -> str:
    return instant.astimezone(timezone(timedelta(minutes=minutes))).isoformat()


@example(instant=AGE[0], minutes=-60)
@example(instant=AGE[0] - timedelta(seconds=1), minutes=60)
@example(instant=AGE[1] - timedelta(seconds=1), minutes=60)
@example(instant=AGE[1], minutes=-60)
@given(instant=AT_A_BOUND, minutes=ANY_OFFSET)
def test_an_instant_is_of_the_age_or_not_whatever_its_offset(instant: datetime, minutes: int) -> None:
    if AGE[0] <= instant < AGE[1]:
        assert TIME_OF_JSON.validate_python(spelled(instant, minutes)) == instant
    else:
        with pytest.raises(ValidationError, match="between the years 1901 and 2199 in UTC"):
            TIME_OF_JSON.validate_python(spelled(instant, minutes))


TIMES_OF = {
    name: times
    for name in sorted(RECORDS)
    if (times := [field for field, at in BUILDERS[name]() if isinstance(at, datetime)])
}


@pytest.mark.parametrize("name", TIMES_OF)
@settings(max_examples=examples(25))
@given(values=st.data(), instant=AT_A_BOUND, minutes=ANY_OFFSET)
def test_what_is_read_with_a_time_at_the_bounds_can_be_written(
    name: str, values: st.DataObject, instant: datetime, minutes: int
) -> None:
    changed = values.draw(st.sampled_from(TIMES_OF[name]))
    body = BUILDERS[name]().model_dump(mode="json") | {changed: spelled(instant, minutes)}
    wrong: list[str] = []
    try:
        read = strict_json.read(RECORDS[name], json.dumps(body).encode())
    except strict_json.NotTheShape as refused:
        wrong = [fault.pointer for fault in refused.faults]
    else:
        assert CODEC.decode(CODEC.encode(read)) == read
    assert AGE[0] <= instant < AGE[1] or f"/{changed}" in wrong


@given(when=st.datetimes(min_value=datetime(1901, 1, 2), max_value=datetime(2199, 12, 30), timezones=OFFSETS))  # noqa: DTZ001 - hypothesis adds the offsets
def test_a_time_is_its_instant_whatever_its_offset(when: datetime) -> None:
    read = TIME_OF_JSON.validate_python(when.isoformat())
    assert read == when
    assert read.utcoffset() == timedelta(0)
    text = TIME_OF_JSON.dump_python(read, mode="json")
    assert text.endswith("Z")
    assert TIME_OF_JSON.validate_python(text) == when.astimezone(UTC)


@pytest.mark.parametrize(
    "time",
    [
        "2024-05-12T13:00:00",
        "2024-05-12",
        "1715518800",
        1715518800,
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2024-02-30T00:00:00Z",
        "yesterday",
        None,
    ],
)
def test_what_is_no_instant_is_refused(time: object) -> None:
    with pytest.raises(ValidationError):
        TIME_OF_JSON.validate_python(time)


@given(key=st.text(), partitions=st.integers(1, 1000))
def test_every_key_has_a_partition(key: str, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
