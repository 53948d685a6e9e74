"""What was written here and what is read from its bytes are the same record: reducing may take either."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import RECORDS, DispatchOrder, OrderState
from gridsignal_services.bus.codec import Codec
from tests.builders import an_order
from tests.contract.strategies import any_of

WRITER, READER = Codec.from_lock(), Codec.from_lock()
DISPATCH = [RECORDS[name] for name in TOPICS["dispatch"].records]


@settings(max_examples=100)
@given(record=st.one_of(*map(any_of, DISPATCH)))
def test_the_record_written_is_the_record_read(record: object) -> None:
    value, written = WRITER.written(record)  # type: ignore[arg-type]  # any record
    read = READER.decode(value)
    assert written == read
    assert written.model_dump_json() == read.model_dump_json()
    assert [type(field) for _, field in written] == [type(field) for _, field in read]


def test_what_a_copy_left_unvalidated_is_validated_on_the_way() -> None:
    loose = an_order().model_copy(update={"state": "VOIDED"})
    _, written = WRITER.written(loose)
    assert isinstance(written, DispatchOrder)
    assert written.state is OrderState.VOIDED
