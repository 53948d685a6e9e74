"""What was written here and what is read from its bytes are the same record: who reads it may take either."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_schemas.messages import RECORDS, DispatchOrder, OrderState
from gridsignal_services.bus.codec import Codec
from tests.builders import a_spot_price, an_order
from tests.contract.strategies import any_of
from tests.effort import examples

WRITER, READER = Codec.from_lock(), Codec.from_lock()


@settings(max_examples=examples(200))
@given(record=st.one_of(*map(any_of, RECORDS.values())))
def test_the_record_written_is_the_record_read(record: object) -> None:
    value, written = WRITER.written(record)  # type: ignore[arg-type]  # any record
    assert WRITER.written(record, is_valid=True) == (value, written)  # type: ignore[arg-type]  # any record
    read = READER.decode(value)
    assert written == read
    assert written.model_dump_json() == read.model_dump_json()
    assert [type(field) for _, field in written] == [type(field) for _, field in read]


def test_what_a_copy_left_unvalidated_is_validated_on_the_way() -> None:
    loose = an_order().model_copy(update={"state": "VOIDED"})
    _, written = WRITER.written(loose)
    assert isinstance(written, DispatchOrder)
    assert written.state is OrderState.VOIDED


def test_what_was_written_here_is_known_again_whatever_its_length() -> None:
    codec = Codec.from_lock()
    value, written = codec.written(a_spot_price())
    assert codec.decode(value) is written
    assert READER.decode(value) == written


def test_a_long_record_written_here_is_known_again_and_others_are_read() -> None:
    codec = Codec.from_lock()
    curves = [a_spot_price(prices_per_mwh=[Decimal(n)] * 3000, dataset=f"d{n}") for n in range(24)]
    values = [codec.encode(curve) for curve in curves]
    read = [codec.decode(value) for value in values]
    assert read == curves
    again = [codec.decode(value) for value in values]
    known = [one is other for one, other in zip(read, again, strict=True)]
    assert known == sorted(known), "the newest are known, and those before them are not"
    assert known[-1]
    assert not known[0]
    assert sum(len(value) for value, is_known in zip(values, known, strict=True) if is_known) <= 256 * 1024


def test_of_short_records_no_more_are_known_than_their_bytes_allow() -> None:
    codec = Codec.from_lock()
    for revision in range(1, 3001):
        codec.encode(a_spot_price(revision=revision))
    assert 1000 < len(codec._own) <= 2048
