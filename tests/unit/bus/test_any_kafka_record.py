"""Whatever lies in one Kafka record, a reader hands it on and goes on: at most it is poison."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.bus.kafka_reader import record_of
from gridsignal_services.bus.publish import principal_of

BYTES = st.none() | st.binary(max_size=200)
CODEC = Codec.from_lock()


def raw(**fields: Any) -> ConsumerRecord[Any, Any]:
    ordinary = {
        "topic": "t",
        "partition": 0,
        "offset": 7,
        "timestamp": 1_700_000_000_000,
        "timestamp_type": 1,
        "key": b"DE-LU",
        "value": b"",
        "checksum": None,
        "serialized_key_size": 5,
        "serialized_value_size": 0,
        "headers": (),
    }
    return ConsumerRecord(**ordinary | fields)


@given(
    key=BYTES,
    value=BYTES,
    headers=st.lists(st.tuples(st.text(max_size=40), BYTES), max_size=20),
    timestamp=st.none() | st.integers(-1, 2**62),
)
def test_any_record_is_handed_on_and_at_most_poison(**fields: Any) -> None:
    record = record_of("dispatch", raw(**fields))
    assert (record.partition, record.offset) == (0, 7)
    assert isinstance(principal_of(record), str)
    assert record.appended_us >= 0
    with pytest.raises(Poison):
        CODEC.decode(record.value)


def test_a_null_header_a_null_key_and_a_tombstone_are_empty() -> None:
    record = record_of("prices", raw(headers=(("trace", None),), key=None, value=None))
    assert (record.headers, record.key, record.value) == ({"trace": ""}, "", b"")


def test_a_huge_header_is_one_of_many() -> None:
    record = record_of("prices", raw(headers=(("big", b"x" * 900_000),)))
    assert len(record.headers["big"]) == 900_000
