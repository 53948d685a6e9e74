"""What an earlier version wrote is read and judged, though nobody can write it any more."""

from __future__ import annotations

import io
import struct
from decimal import Decimal

import fastavro
import pytest

from gridsignal_schemas.catalog import avro_schema
from gridsignal_schemas.messages import TOLERANT, FlexOffer
from gridsignal_schemas.values import MW
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.schema_ids import id_written, read_lock
from tests.builders import a_flex_offer, an_option
from tests.shown_book import shown_book
from tests.unit.ledger.market import Market

ABSURD = Decimal("99999999999999.9999")


def as_once_written(**option: Decimal) -> FlexOffer:
    """An offer as it is read from bytes of a version without bounds."""
    fields = a_flex_offer(participant="acme", site="acme-1").model_dump()
    fields["options"] = [an_option(power_w=MW, min_power_w=0).model_dump() | option]
    schema_id = id_written(read_lock(), "gridsignal.dispatch-gridsignal.FlexOffer")
    out = io.BytesIO(struct.pack(">bI", 0, schema_id))
    out.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(out, fastavro.parse_schema(avro_schema("FlexOffer")), fields)
    read = Codec.from_lock().decode(out.getvalue())
    assert isinstance(read, FlexOffer)
    return read


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ({"price_per_mwh": -ABSURD}, "PRICE"),
        ({"price_per_mwh": ABSURD}, "PRICE"),
        ({"activation_fee": ABSURD}, "FEE"),
        ({"activation_fee": Decimal("-12.5")}, "FEE"),
    ],
)
def test_an_absurd_figure_is_rejected_and_in_no_book(option: dict[str, Decimal], code: str) -> None:
    market = Market("acme")
    record = as_once_written(**option)
    outcome = market.add(record, "participant:acme")
    assert (outcome.accepted, code in [fault.code for fault in outcome.faults]) == (True, True)
    assert market.add(record, "participant:acme").receipt == outcome.receipt
    market.act()
    assert shown_book(market.ledger.book, market.request.request_id).offers == []


@pytest.mark.parametrize("option", [{"price_per_mwh": ABSURD}, {"activation_fee": Decimal(-1)}])
def test_nobody_writes_one_any_more(option: dict[str, Decimal]) -> None:
    fields = an_option().model_dump() | option
    with pytest.raises(ValueError, match=r"expected -?[0-9]+ to [0-9]+, got"):
        type(an_option()).model_validate(fields)
    type(an_option()).model_validate(fields, context=TOLERANT)
