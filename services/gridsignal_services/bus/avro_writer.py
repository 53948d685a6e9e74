"""Avro's binary encoding of records whose fields are known to be right (Avro 1.11, "Binary encoding").

fastavro checks a value against every branch of a union before it writes it, which takes most of its time. What is
written here was validated before, or read with the same schema: a union of null and something is decided by whether
there is something. For a schema there is one function, made once. What is left is fastavro's to write: a list of plain
values, for its loop is in C, and what the contract does not use.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro

Put = Callable[[bytearray, Any], None]
"""Puts a value behind what is written already."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DOUBLE = struct.Struct("<d")


def writer_of(schema: Any) -> Callable[[Any], bytes]:
    """What writes values of a schema that fastavro has parsed.

    A value that is not of the schema raises whatever comes of it, or is written as nonsense.
    """
    put = _put_of(schema, {})

    def write(value: Any) -> bytes:
        out = bytearray()
        put(out, value)
        return bytes(out)

    return write


def _put_of(schema: Any, named: dict[str, Put]) -> Put:
    match schema:
        case [other, "null"] | ["null", other]:
            return _put_nullable(_put_of(other, named), null=schema.index("null"))
        case str() if schema in named:
            return named[schema]
        case {"type": "record", "name": str(name), "fields": list(fields)}:
            put = _put_record([(field["name"], _put_of(field["type"], named)) for field in fields])
            named[name] = put
            return put
        case {"type": "enum", "name": str(name), "symbols": list(symbols)}:
            named[name] = _put_enum(symbols)
            return named[name]
        case {"type": "array", "items": list() | dict() as items}:
            return _put_array(_put_of(items, named))
        case {"type": "long", "logicalType": "timestamp-micros"}:
            return _put_time
        case {"type": "bytes", "logicalType": "decimal", "scale": int(scale)}:
            return _put_decimal(scale)
        case str() if schema in _PLAIN:
            return _PLAIN[schema]
        case _:
            return _put_by_fastavro(schema)


def _put_nullable(put: Put, *, null: int) -> Put:
    absent, present = bytes([2 * null]), 2 * (1 - null)

    def put_nullable(out: bytearray, value: Any) -> None:
        if value is None:
            out += absent
        else:
            out.append(present)
            put(out, value)

    return put_nullable


def _put_record(fields: list[tuple[str, Put]]) -> Put:
    def put_record(out: bytearray, value: Any) -> None:
        for name, put in fields:
            put(out, value[name])

    return put_record


def _put_enum(symbols: list[str]) -> Put:
    written: dict[str, bytes] = {}
    for index, symbol in enumerate(symbols):
        _put_long(at := bytearray(), index)
        written[symbol] = bytes(at)

    def put_enum(out: bytearray, value: Any) -> None:
        out += written[value]

    return put_enum


def _put_array(put: Put) -> Put:
    def put_array(out: bytearray, value: Any) -> None:
        if value:
            _put_long(out, len(value))
            for each in value:
                put(out, each)
        out.append(0)

    return put_array


def _put_decimal(scale: int) -> Put:
    def put_decimal(out: bytearray, value: Decimal) -> None:
        unscaled = int(value.scaleb(scale))
        size = (unscaled.bit_length() + 8) // 8
        out.append(2 * size)
        out += unscaled.to_bytes(size, signed=True)

    return put_decimal


def _put_by_fastavro(schema: Any) -> Put:
    def put(out: bytearray, value: Any) -> None:
        written = io.BytesIO()
        fastavro.schemaless_writer(written, schema, value)
        out += written.getvalue()

    return put


def _put_long(out: bytearray, value: int) -> None:
    rest = (value << 1) ^ (value >> 63)
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)


def _put_text(out: bytearray, value: str) -> None:
    text = value.encode()
    _put_long(out, len(text))
    out += text


def _put_bool(out: bytearray, value: bool) -> None:
    out.append(value)


def _put_double(out: bytearray, value: float) -> None:
    out += _DOUBLE.pack(value)


def _put_time(out: bytearray, value: datetime) -> None:
    since = value - _EPOCH
    _put_long(out, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


_PLAIN: dict[str, Put] = {
    "boolean": _put_bool,
    "int": _put_long,
    "long": _put_long,
    "double": _put_double,
    "string": _put_text,
}
