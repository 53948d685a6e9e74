"""Figures as feeds spell them, read exactly or refused: JSON, XML, decimals, instants."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, TypeAlias

from lxml import etree

from gridsignal_schemas.values import UNPRINTABLE, rfc3339
from gridsignal_services.ingest.feed import Malformed
from gridsignal_services.ingest.said import TITLE

Element: TypeAlias = Any
"""An element of lxml, which ships no type information."""
_PROLOGUE = 64 << 10
_PLACES = Decimal("0.0001")
_LARGEST = Decimal(10) ** 9
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]+|[0-9]{1,3}(?:,[0-9]{3}){2,})(?:[eE][+-]?[0-9]{1,2})?"
)
"""A thousands comma only where it can't be a decimal one: before a point, or twice. "2,415" is either."""
_DIGITS_AND_MARKS = re.compile(r"[+\-\u2212]?[\d.,'\u2019\s]*\d[\d.,'\u2019\s]*")
_GRAMS = re.compile(r"G(?:RAMS?)?_?(?:CO2(?:[-_]?EQ?\.?)?)?_?/_?KWH")
MOST_FILES = 200
MOST_UNPACKED_BYTES = 64 << 20
EARLIEST_S, LATEST_S = 946_684_800, 4_102_444_800
"""2000 and 2100: stamps outside are another unit (milliseconds) or nonsense."""


def json_of(body: bytes) -> Any:
    """The JSON of a body with decimals exact; NaN and Infinity stay words, which no figure is read from."""
    try:
        return json.loads(body.decode(json.detect_encoding(body)), parse_float=Decimal, parse_constant=str)
    except (ValueError, RecursionError) as fault:
        raise Malformed(f"expected JSON, got {_what_broke(body, fault)}") from None


def xml_of(body: bytes) -> Element:
    """The root element of a body; document types are refused, and with them entities and external references."""
    if _HTML.match(body.removeprefix(BOM_UTF8)):
        raise Malformed(f"expected XML, got {what_it_is(body)}")
    if b"<!DOCTYPE" in body[:_PROLOGUE]:
        raise Malformed("expected a document without a document type, got one")
    # of its own for each body: a parser that saw a broken document is not used again
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        # a declaration has to come first; files saved by hand often begin with an empty line
        root: Element = etree.fromstring(body.lstrip(), parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as fault:
        raise Malformed(f"expected XML, got {_what_broke(body, fault)}") from None
    if root.getroottree().docinfo.internalDTD is not None:  # in an encoding in which we did not see it
        raise Malformed("expected a document without a document type, got one")
    return root


def unzipped(body: bytes) -> list[bytes]:
    """The files of a zip, or the body itself: told by its first bytes, whatever its content type says."""
    if not body.startswith(b"PK\x03\x04"):
        return [body]
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_UNPACKED_BYTES:
                raise Malformed(f"expected at most {MOST_FILES} files of {MOST_UNPACKED_BYTES} bytes in all, got more")
            return [_entry(archive, entry) for entry in entries if not entry.is_dir()]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as fault:
        raise Malformed(f"the zip can't be read ({type(fault).__name__})") from None


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as file:
        body = file.read(entry.file_size + 1)  # the declared size is a claim, not a fact
    if len(body) > entry.file_size:
        raise Malformed("a file in the zip is larger than it says")
    return body


_UTF_16 = "UTF-16 text: save it as UTF-8"
_KINDS = (
    (b"\x1f\x8b", "a gzip file: unpack it first"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"%PDF", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook: save it as CSV (UTF-8)"),
    (b"\x28\xb5\x2f\xfd", "a zstd file: unpack it first"),
    (b"BZh", "a bzip2 file: unpack it first"),
    (b"\xfd7zXZ", "an xz file: unpack it first"),
    (BOM_UTF16_LE, _UTF_16),
    (BOM_UTF16_BE, _UTF_16),
)
_HTML = re.compile(rb"\s*(?:<!doctype html|<html|<head|<body)", re.IGNORECASE)


def foreign_kind(body: bytes) -> str:
    """What kind of file a body is that is no UTF-8 text of figures; empty for one we have no word for."""
    body = body.removeprefix(BOM_UTF8)
    if body.startswith(b"PK\x03\x04") and b"[Content_Types].xml" in body[:_PROLOGUE]:
        return "an Excel workbook: save it as CSV (UTF-8)"
    for opening, kind in _KINDS:
        if body.startswith(opening):
            return kind
    if not body.strip():
        return "nothing"
    if body[:2].count(0) == 1:  # every second byte, as of plain letters
        return _UTF_16
    if _HTML.match(body):
        title = TITLE.search(body[:_PROLOGUE])
        titled = f" titled {name(title[1].decode('utf-8', 'replace'), 60)!r}" if title else ""
        return f"a web page{titled}, as a login or a proxy shows it"
    return ""


def what_it_is(body: bytes) -> str:
    """What a body is that is not what it should be, for people."""
    return foreign_kind(body) or repr(body[:40].decode("ascii", "replace"))


def _what_broke(body: bytes, fault: Exception) -> str:
    """The same of a body that could not be parsed: where it is of the kind that was expected, what breaks it."""
    if not foreign_kind(body) and body.lstrip()[:1] in (b"{", b"[", b"<"):
        return f"a broken one: {name(fault, 100)}"
    return what_it_is(body)


def local_name(element: Element) -> str:
    """The element's name without its namespace: versions of one document differ only there."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def decimal_of(value: object, scale: int = 1) -> Decimal:
    """A number, `scale` times as much, to four places: text with a decimal point, int or Decimal; never a float, NaN
    or a bool."""
    if isinstance(value, str):
        text = value.strip(" \t").replace("\u2212", "-")
        if not _NUMBER.fullmatch(text):
            hint = " with a decimal point and no marks between thousands" if _DIGITS_AND_MARKS.fullmatch(text) else ""
            raise Malformed(f"expected a number{hint}, got {value!r:.40}")
        value = Decimal(text.replace(",", ""))
    elif isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value) if -(10**12) < value < 10**12 else Decimal("Infinity")
    if not isinstance(value, Decimal):
        raise Malformed(f"expected a number, got {type(value).__name__}")
    if value.is_nan() or not -_LARGEST < value < _LARGEST:
        raise Malformed("expected a finite number below a thousand million")
    return (value * scale).quantize(_PLACES)


def decimal_or_gap(value: object) -> Decimal | None:
    """None stays None: a gap."""
    return None if value is None else decimal_of(value)


def instant(text: object, *, zone: tzinfo | None = None) -> datetime:
    """An aware instant in UTC. A text without an offset is refused unless the feed's own fixed `zone` is given."""
    if not isinstance(text, str):
        raise Malformed(f"expected a time, got {type(text).__name__}")
    try:
        when = datetime.fromisoformat(_microseconds(text.strip()))
    except ValueError:
        raise Malformed(f"expected a time, got {text!r:.40}") from None
    if when.tzinfo is None:
        if zone is None:
            raise Malformed(f"expected a time with its offset, got {text!r:.40}")
        when = when.replace(tzinfo=zone)
    return _plausible(when)


def _microseconds(text: str) -> str:
    # some feeds send seven decimals
    return re.sub(r"(\.\d{6})\d+", r"\1", text)


def _plausible(when: datetime) -> datetime:
    if not EARLIEST_S <= when.timestamp() < LATEST_S:
        raise Malformed(f"expected a time of this century, got {rfc3339(when)}")
    return when.astimezone(UTC)


def is_grams_per_kwh(unit: object) -> bool:
    """Whether a unit of carbon intensity is ours, however it is spelt: g/kWh, gCO2eq / kWh, g CO₂ per kWh."""
    return bool(_GRAMS.fullmatch("".join(str(unit).upper().replace("₂", "2").replace("PER", "/").split())))


def epoch_s(value: object) -> int:
    """Whole seconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, int) or not EARLIEST_S <= value < LATEST_S:
        raise Malformed(f"expected seconds since 1970, got {value!r:.40}")
    return value


def words(text: object, longest: int = 512) -> str:
    """Somebody's words for people, as a record may hold them: other control characters than lines become spaces."""
    lines = ("" if text is None else str(text)).replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(UNPRINTABLE.sub(" ", line.expandtabs()) for line in lines.split("\n"))[:longest]


def name(text: object, longest: int = 128) -> str:
    """Somebody's name for something, on one line."""
    return " ".join(words(text, 4 * longest).split())[:longest]


def list_of(value: object, name: str) -> list[Any]:
    """A list, or a refusal that names what was expected."""
    if not isinstance(value, list):
        raise Malformed(f"expected a list of {name}, got {type(value).__name__}")
    return value


def object_of(value: object, name: str) -> dict[str, Any]:
    """An object, or a refusal that names what was expected."""
    if not isinstance(value, dict):
        raise Malformed(f"expected {name} as an object, got {type(value).__name__}")
    return value
