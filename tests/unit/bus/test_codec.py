"""The codec: every record survives it, and nothing that is not exactly a record gets through it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.catalog import SUBJECTS, avro_schema
from gridsignal_schemas.messages import RECORDS, Direction, GridClock, Record
from gridsignal_services.bus import LogConfigurationError, Unwritable
from gridsignal_services.bus.codec import MAX_VALUE_BYTES, Codec, Poison, UnknownSchema, schema_id_of, sha256_of
from gridsignal_services.bus.schema_ids import id_written, read_lock
from tests.builders import BUILDERS, a_dispatch_request, a_grid_alert, a_spot_price, an_offer_withdrawal, utc

CODEC = Codec.from_lock()
IDS = {subject: id_written(read_lock(), subject) for subject in read_lock()}


def _examples() -> Iterator[Record]:
    for path in sorted(files("gridsignal_schemas").joinpath("examples").iterdir(), key=lambda path: path.name):
        yield RECORDS[path.name.partition(".")[0]].model_validate_json(path.read_text("utf-8"))


def _varint(value: int) -> bytes:
    rest, out = (value << 1) ^ (value >> 63), b""
    while rest > 0x7F:
        out += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    return out + bytes([rest])


def _text(value: str) -> bytes:
    return _varint(len(value.encode())) + value.encode()


@pytest.mark.parametrize("record", list(_examples()), ids=lambda record: record.record_name)
def test_every_golden_example_survives(record: Record) -> None:
    value = CODEC.encode(record)
    assert CODEC.decode(value) == record
    assert CODEC.encode(CODEC.decode(value)) == value


def test_the_framing_is_a_zero_and_the_subjects_id() -> None:
    value = CODEC.encode(a_spot_price())
    assert value[0] == 0
    assert schema_id_of(value) == IDS[SUBJECTS[0]]
    assert sha256_of(value) == hashlib.sha256(value[5:]).hexdigest()


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_the_text_of_an_id_is_its_schema(name: str) -> None:
    value = CODEC.encode(BUILDERS[name]())
    schema = json.loads(CODEC.schema_text(schema_id_of(value)))
    assert (schema["name"], schema["namespace"]) == (name, "gridsignal")


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x00\x00\x00\x00", b"\x01\x00\x00\x00\x01", b'{"zone": "FR"}'])
def test_bytes_without_framing_are_poison(value: bytes) -> None:
    with pytest.raises(Poison, match="expected 0x00 and four bytes of schema id"):
        CODEC.decode(value)


def test_an_id_never_heard_of_is_named() -> None:
    with pytest.raises(UnknownSchema, match="got 4711") as refused:
        CODEC.decode(b"\x00" + (4711).to_bytes(4, "big") + b"\x00")
    assert refused.value.schema_id == 4711


def test_too_long_a_value_is_poison_unread() -> None:
    with pytest.raises(Poison, match="at most 1000000 bytes, got 1000001"):
        CODEC.decode(bytes(MAX_VALUE_BYTES + 1))


@pytest.mark.parametrize("cut", [1, 2, 10, 30])
def test_a_value_cut_short_is_poison(cut: int) -> None:
    with pytest.raises(Poison):
        CODEC.decode(CODEC.encode(an_offer_withdrawal())[:-cut])


def test_trailing_bytes_are_poison() -> None:
    with pytest.raises(Poison, match="canonically"):
        CODEC.decode(CODEC.encode(an_offer_withdrawal()) + b"\x00")


class _Clock:
    """A GridClock written by hand, field by field."""

    framing = CODEC.encode(BUILDERS["GridClock"]())[:5]
    origin = _varint(1_715_464_800_000_000)
    rate = bytes.fromhex("000000000000f03f")  # 1.0
    epoch = _varint(1_715_464_800_000_000)

    @classmethod
    def written(cls, **changes: bytes) -> bytes:
        fields = {"origin": cls.origin, "rate": cls.rate, "epoch": cls.epoch} | changes
        return cls.framing + b"".join(fields.values())


def test_what_is_written_by_hand_can_be_read() -> None:
    clock = CODEC.decode(_Clock.written())
    assert isinstance(clock, GridClock)
    assert clock.origin == utc("2024-05-11T22:00")


@pytest.mark.parametrize("rate", ["000000000000f87f", "000000000000f07f", "000000000000f0ff", "000000000000f0bf"])
def test_a_rate_that_is_no_positive_number_is_poison(rate: str) -> None:
    with pytest.raises(Poison, match="valid GridClock"):
        CODEC.decode(_Clock.written(rate=bytes.fromhex(rate)))


@pytest.mark.parametrize("us", [2**62, -(2**62), 2**63 - 1])
def test_a_time_outside_the_calendar_is_poison(us: int) -> None:
    with pytest.raises(Poison):
        CODEC.decode(_Clock.written(epoch=_varint(us)))


def test_a_number_written_longer_than_needed_is_poison() -> None:
    longer = _Clock.origin[:-1] + bytes([_Clock.origin[-1] | 0x80, 0])
    with pytest.raises(Poison, match="canonically"):
        CODEC.decode(_Clock.written(origin=longer))


def _withdrawal(request: bytes = b"\x00", reason: bytes = _text("x")) -> bytes:
    framing = CODEC.encode(an_offer_withdrawal())[:5]
    return framing + _text("FR") + request + _text("acme-ai") + _text("fra-1") + _text("o-1") + reason


def test_a_union_index_that_is_not_there_is_poison() -> None:
    assert CODEC.decode(_withdrawal()) == an_offer_withdrawal(
        zone="FR", request_id=None, participant="acme-ai", site="fra-1", offer_id="o-1", reason="x"
    )
    for index in (-1, -2, 2, 7, 2**40):
        with pytest.raises(Poison):
            CODEC.decode(_withdrawal(request=_varint(index) + _text("r")))


@pytest.mark.parametrize("length", [-1, -5, 2**31, 2**62])
def test_a_text_of_impossible_length_is_poison(length: int) -> None:
    with pytest.raises(Poison):
        CODEC.decode(_withdrawal(reason=_varint(length) + b"abcdef"))


def test_a_text_that_is_no_utf8_is_poison() -> None:
    with pytest.raises(Poison):
        CODEC.decode(_withdrawal(reason=b"\x04\xff\xfe"))


def _alert(kind: int = 1, level: int = 3) -> bytes:
    """A GridAlert by hand: the fields that follow an enum and an int stay as they are."""
    alert = a_grid_alert(area=None, level=3)
    value = CODEC.encode(alert)
    before = value[:5] + _text(alert.alert_id) + _varint(alert.revision) + _text(alert.zone) + b"\x00"
    assert value.startswith(before)
    symbols = next(field for field in avro_schema("GridAlert")["fields"] if field["name"] == "kind")["type"]["symbols"]
    assert value[len(before)] == 2 * symbols.index(alert.kind)
    return before + _varint(kind) + _varint(level) + value[len(before) + 2 :]


@pytest.mark.parametrize("kind", [-1, -3, 9, 1000, 2**40])
def test_an_enum_index_that_is_not_there_is_poison(kind: int) -> None:
    assert CODEC.decode(_alert())
    with pytest.raises(Poison):
        CODEC.decode(_alert(kind=kind))


@pytest.mark.parametrize("level", [-1, 4, 2**31, -(2**31) - 1, 2**33 + 3, 2**63 - 1])
def test_a_number_outside_its_range_is_poison(level: int) -> None:
    with pytest.raises(Poison):
        CODEC.decode(_alert(level=level))


def _prices(array: bytes) -> bytes:
    price = a_spot_price(prices_per_mwh=[None])
    value = CODEC.encode(price)
    start = value.index(b"\x02\x00\x00", 5 + len("DE-LU"))
    assert CODEC.decode(value[:start] + _varint(1) + b"\x00" + b"\x00" + value[start + 3 :]) == price
    return value[:start] + array + value[start + 3 :]


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(_varint(2**40) + b"\x00" * 8, id="more items than bytes"),
        pytest.param(_varint(-(2**40)) + _varint(8) + b"\x00" * 8, id="a negative count"),
        pytest.param(_varint(-1) + _varint(1) + b"\x00\x00", id="a block with its size"),
        pytest.param(b"\x02\x00\x02\x00\x00", id="two blocks where one does"),
        pytest.param(b"\x00", id="no price at all"),
        pytest.param(_varint(10_001) + b"\x00" * 10_002, id="more prices than a series may have"),
        pytest.param(_varint(1) + b"\x02" + _varint(9) + b"\x7f" * 9 + b"\x00", id="a price of 19 digits and more"),
    ],
)
def test_an_array_that_is_not_written_as_we_write_it_is_poison(array: bytes) -> None:
    with pytest.raises(Poison):
        CODEC.decode(_prices(array))


def test_a_monstrous_decimal_costs_nothing() -> None:
    value = _prices(_varint(1) + b"\x02" + _varint(900_000) + b"\x7f" * 900_000 + b"\x00")
    started = time.process_time()
    with pytest.raises(Poison, match="decimals of at most 8 bytes"):
        CODEC.decode(value)
    assert time.process_time() - started < 5  # a minute without the check


@given(st.sampled_from(sorted(RECORDS)), st.data())
def test_no_bytes_raise_anything_but_poison(name: str, data: Any) -> None:
    value = bytearray(CODEC.encode(BUILDERS[name]()))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(5, len(value) - 1))
        value[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=12))
        if len(value) < 7:
            break
    try:
        record = CODEC.decode(bytes(value))
    except Poison:
        return
    with contextlib.suppress(Unwritable):  # an amount that an earlier version could write, and this one does not
        assert CODEC.encode(record) == bytes(value)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"power_w": 1.9}, id="a float for watts"),
        pytest.param({"power_w": 2**63}, id="too many watts"),
        pytest.param({"revision": 2**31}, id="a revision beyond 32 bits"),
        pytest.param({"starts_at": datetime(2024, 5, 12, 18)}, id="a naive time"),  # noqa: DTZ001 - the point
        pytest.param({"direction": "SIDEWAYS"}, id="a direction that is none"),
        pytest.param({"price_cap_per_mwh": Decimal("NaN")}, id="a price that is no number"),
        pytest.param({"price_cap_per_mwh": Decimal("0.00001")}, id="a price of five places"),
        pytest.param({"price_cap_per_mwh": 65.49}, id="a price as a float"),
        pytest.param({"zone": None}, id="no zone"),
        pytest.param({"audience": ["x" * 65]}, id="too long an identifier"),
    ],
)
def test_a_copy_that_broke_its_rules_is_not_written(broken: dict[str, Any]) -> None:
    request = a_dispatch_request().model_copy(update=broken)
    with pytest.raises(Unwritable, match="DispatchRequest"):
        CODEC.encode(request)


def test_a_record_too_long_for_the_log_is_not_written() -> None:
    clearing = BUILDERS["Clearing"](
        rejected=[{"offer_id": f"{at:064}", "participant": "p" * 64, "code": "c" * 64} for at in range(6000)]
    )
    with pytest.raises(Unwritable, match="at most 1000000 bytes"):
        CODEC.encode(clearing)


def _newer(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(json.dumps(avro_schema(name)))
    schema["fields"].append({"name": "colour", "type": ["null", "string"], "default": None})
    for field in schema["fields"]:
        if isinstance(field["type"], dict) and "symbols" in field["type"]:
            field["type"]["symbols"].append("NOT_YET_THOUGHT_OF")
    return schema


def test_a_newer_writers_records_are_read_and_its_new_symbols_become_unknown() -> None:
    codec = Codec.from_lock()
    codec.learn(900, json.dumps(_newer("DispatchRequest")))
    request = a_dispatch_request()
    body = CODEC.encode(request)[5:]
    newer = b"\x00" + (900).to_bytes(4, "big") + body + b"\x02" + _text("green")
    assert codec.knows(900)
    assert codec.decode(newer) == request

    symbols = avro_schema("DispatchRequest")["fields"][7]["type"]["symbols"]
    assert avro_schema("DispatchRequest")["fields"][7]["name"] == "direction"
    head = b"".join(_text(text) for text in (request.zone, request.request_id))
    head += _varint(request.revision) + _text(request.operator) + _text(request.product)
    at = len(head) + 1 + len(_text(request.text))
    assert body[at] == 2 * symbols.index(request.direction)
    strange = b"\x00" + (900).to_bytes(4, "big") + body[:at] + _varint(len(symbols)) + body[at + 1 :] + b"\x00"
    assert codec.decode(strange) == request.model_copy(update={"direction": Direction.UNKNOWN})


@pytest.mark.parametrize("text", ["", "{}", '{"type": "record", "name": "Nonsense", "fields": []}', '"string"'])
def test_a_schema_that_is_none_of_the_contract_is_not_learned(text: str) -> None:
    with pytest.raises(LogConfigurationError, match="schema 900"):
        Codec.from_lock().learn(900, text)


def test_a_codec_needs_an_id_for_each_subject_and_each_once() -> None:
    with pytest.raises(LogConfigurationError, match="got none for"):
        Codec({})
    with pytest.raises(LogConfigurationError, match="got one twice"):
        Codec(dict.fromkeys(SUBJECTS, 1))
