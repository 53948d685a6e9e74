"""Records to bytes and back: Avro in Confluent framing, closed against what fastavro lets through.

fastavro reads an enum index of -1 as the last symbol, ignores trailing bytes, writes 1.9 as 1 and takes a minute for
a decimal of 900 kB. So what is written is validated first, and what is read must be exactly what we would write.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import fastavro
from fastavro.schema import SchemaParseException
from pydantic import ValidationError

from gridsignal_schemas.catalog import SUBJECTS, avro_schema
from gridsignal_schemas.messages import LOGGED, RECORDS, TOLERANT, Record
from gridsignal_schemas.rules.shapes import findings
from gridsignal_services.bus import LogConfigurationError, Unwritable
from gridsignal_services.bus.schema_ids import Lock, canonical_text, id_written, read_lock, record_of

MAX_VALUE_BYTES = 1_000_000
"""A framed record: what Kafka takes with its default settings, too."""
_FRAMING = struct.Struct(">bI")
_MAX_DECIMAL_BYTES = 8  # 18 digits
_UNSUSPICIOUS_BYTES = 4096  # a decimal as long as this costs a millisecond
_KEPT_BYTES = 256 * 1024
"""Of records that were written here: in memory they take some twenty times as much."""
_LEAST_BYTES = 128
"""What a record counts for at least among them."""

# what fastavro and the conversions under it raise for bytes that are no such record
_UNREADABLE = (ValueError, EOFError, ArithmeticError, LookupError, TypeError, MemoryError, RecursionError, struct.error)


class Poison(Exception):
    """These bytes are no record of ours. They are set aside with this reason, and the partition goes on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownSchema(Poison):
    """Written with a schema this codec has not been told of; a registry may know it."""

    def __init__(self, schema_id: int) -> None:
        super().__init__(f"expected a known schema id, got {schema_id}")
        self.schema_id = schema_id


def schema_id_of(value: bytes) -> int:
    """The schema id in the framing. Raises Poison where there is none."""
    if len(value) < _FRAMING.size or value[0] != 0:
        raise Poison(f"expected 0x00 and four bytes of schema id, got {value[:5].hex() or 'nothing'}")
    schema_id: int = _FRAMING.unpack_from(value)[1]
    return schema_id


def sha256_of(value: bytes) -> str:
    """SHA-256 of the Avro value without its framing, hex: what a receipt names."""
    return hashlib.sha256(memoryview(value)[_FRAMING.size :]).hexdigest()


@dataclass(frozen=True, slots=True)
class _Shape:
    """One schema, parsed once."""

    model: type[Record]
    schema: Any
    """What the bytes were written with."""
    write: Callable[[Any], bytes]
    """Writes fields with it."""
    bare: Any
    """The same without logical types: reads hostile decimals without converting them."""
    text: str
    ours: bool
    """Whether it is the schema this version writes."""


class Codec:
    """Writes the contract's own schemas; reads them, and others it was told of.

    What it wrote itself it knows again for a while: doors of one process read what another has written, and to read a
    price takes as long as to hand it to twenty sockets, a curve of some thousand points twenty milliseconds.

    Bounded: one schema per id; the last records written by `_KEPT_BYTES`. When full: the oldest is read from its bytes
    like anybody's. Conflates: nothing.
    """

    def __init__(self, ids: Mapping[str, int]) -> None:
        """`ids` maps each subject of catalog.SUBJECTS to its schema id. Raises LogConfigurationError for a gap."""
        if missing := [subject for subject in SUBJECTS if subject not in ids]:
            raise LogConfigurationError(f"expected a schema id for each subject, got none for {', '.join(missing)}")
        self._own: OrderedDict[bytes, Record] = OrderedDict()
        self._own_bytes, self._changing_own = 0, threading.Lock()
        self._shapes: dict[int, _Shape] = {}
        self._framing: dict[type[Record], tuple[bytes, Callable[[Any], bytes]]] = {}
        for subject in SUBJECTS:
            shape = _shape(avro_schema(record_of(subject)), ours=True)
            self._shapes[ids[subject]] = shape
            self._framing[shape.model] = (_FRAMING.pack(0, ids[subject]), shape.write)
        if len(self._shapes) != len(SUBJECTS):
            raise LogConfigurationError("expected a schema id of its own for each subject, got one twice")

    @classmethod
    def from_lock(cls, lock: Lock | None = None) -> Self:
        """With the ids every embedded log is written with, and those that versions before this one wrote."""
        lock = read_lock() if lock is None else lock
        made = cls({subject: id_written(lock, subject) for subject in lock})
        for locked in chain.from_iterable(lock.values()):
            if not made.knows(locked.id):
                made.learn(locked.id, locked.text)
        return made

    @classmethod
    def of_schemas(cls, schemas: Mapping[int, str]) -> Self:
        """Reads these schemas under these ids and no others. Raises LogConfigurationError.

        What it writes has ids of its own where none of them is the contract's.
        """
        given = {canonical_text(json.loads(text)): schema_id for schema_id, text in schemas.items()}
        own, unused = dict[str, int](), max(schemas, default=0)
        for subject in SUBJECTS:
            unused += 1
            own[subject] = given.get(canonical_text(avro_schema(record_of(subject))), unused)
        made = cls(own)
        for schema_id, text in schemas.items():
            made.learn(schema_id, text)
        return made

    def learn(self, schema_id: int, text: str) -> None:
        """Takes the schema another version of the contract writes under this id. Raises LogConfigurationError."""
        try:
            shape = _shape(json.loads(text), ours=False)
        except (ValueError, LookupError, TypeError, SchemaParseException) as error:
            raise LogConfigurationError(
                f"schema {schema_id}: expected a record of the contract, got {error}"
            ) from error
        self._shapes.setdefault(schema_id, shape)

    def knows(self, schema_id: int) -> bool:
        """Whether records under this id can be read."""
        return schema_id in self._shapes

    def framings_of(self, model: type[Record]) -> list[bytes]:
        """What the bytes of such a record begin with, whichever version wrote it."""
        return [_FRAMING.pack(0, schema_id) for schema_id, shape in self._shapes.items() if shape.model is model]

    def schema_text(self, schema_id: int) -> str:
        """The Avro schema of an id, as JSON without docs. Raises KeyError for an id never heard of."""
        return self._shapes[schema_id].text

    def encode(self, record: Record) -> bytes:
        """The framed bytes. Raises Unwritable for a record that breaks its own rules or is too long."""
        return self.written(record)[0]

    def written(self, record: Record, *, is_valid: bool = False) -> tuple[bytes, Record]:
        """The framed bytes, and the record as whoever decodes them gets it. Raises as `encode` does.

        `is_valid` says that its fields were just validated: they are not once more.
        """
        framing, write = self._framing[type(record)]
        fields = record.model_dump(warnings=False)
        valid = record if is_valid else _validated(type(record), fields)
        value = framing + write(fields)
        if len(value) > MAX_VALUE_BYTES:
            raise Unwritable(f"expected a record of at most {MAX_VALUE_BYTES} bytes, got {len(value)}")
        if len(value) <= _KEPT_BYTES:
            self._keep(value, valid)
        return value, valid

    def _keep(self, value: bytes, record: Record) -> None:
        with self._changing_own:  # curves are written in threads
            if value in self._own:
                return
            self._own[value] = record
            self._own_bytes += max(_LEAST_BYTES, len(value))
            while self._own_bytes > _KEPT_BYTES:
                oldest, _ = self._own.popitem(last=False)
                self._own_bytes -= max(_LEAST_BYTES, len(oldest))

    def decode(self, value: bytes) -> Record:
        """The record. Raises Poison for anything that is not byte for byte what its writer's codec would write."""
        if len(value) > MAX_VALUE_BYTES:
            raise Poison(f"expected at most {MAX_VALUE_BYTES} bytes, got {len(value)}")
        if (own := self._own.get(value)) is not None:
            return own
        schema_id = schema_id_of(value)
        if (shape := self._shapes.get(schema_id)) is None:
            raise UnknownSchema(schema_id)
        try:
            return _read(shape, value[_FRAMING.size :])
        except ValidationError as error:
            raise Poison(f"expected a valid {shape.model.__name__}, got {findings(error)}") from error
        except _UNREADABLE as error:
            raise Poison(f"expected a {shape.model.__name__}, got {type(error).__name__}: {error!s:.200}") from error


def _validated(shape: type[Record], fields: dict[str, Any]) -> Record:
    """model_copy and model_construct validate nothing."""
    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        raise Unwritable(f"expected a valid {shape.__name__}, got {findings(error)}") from error


def _writer_of(schema: Any) -> Callable[[Any], bytes]:
    def write(fields: Any) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, fields)
        return out.getvalue()

    return write


def _shape(schema: dict[str, Any], *, ours: bool) -> _Shape:
    parsed = fastavro.parse_schema(schema)
    return _Shape(
        model=RECORDS[schema["name"]],
        schema=parsed,
        write=_writer_of(parsed),
        bare=fastavro.parse_schema(_bare(schema)),
        text=canonical_text(schema),
        ours=ours,
    )


def _read(shape: _Shape, body: bytes) -> Record:
    if len(body) > _UNSUSPICIOUS_BYTES:
        _must_have_short_decimals(fastavro.schemaless_reader(io.BytesIO(body), shape.bare))
    fields: Any = fastavro.schemaless_reader(io.BytesIO(body), shape.schema)
    if shape.write(fields) != body:
        raise Poison(f"expected a {shape.model.__name__} written canonically, got other bytes for the same fields")
    if shape.ours:
        return shape.model.model_validate(fields, context=LOGGED)
    return shape.model.model_validate(fields, extra="ignore", context=TOLERANT)


def _must_have_short_decimals(fields: Any) -> None:
    waiting = [fields]
    while waiting:
        match waiting.pop():
            case dict() as record:
                waiting.extend(record.values())
            case list() as items:
                waiting.extend(items)
            case bytes() as decimal if len(decimal) > _MAX_DECIMAL_BYTES:
                raise Poison(f"expected decimals of at most {_MAX_DECIMAL_BYTES} bytes, got {len(decimal)}")


def _bare(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _bare(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [_bare(item) for item in schema]
    return schema
