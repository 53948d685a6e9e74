"""The tables of the file of finished requests: each request in parts, found by whom they concern and when they end.

Every question goes by an index, and none reads more of it than one answer may be made of.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from gridsignal_schemas.messages import DispatchRequest
from gridsignal_schemas.rules.baselines import FOR_EVER
from gridsignal_services.clock import from_micros, micros
from gridsignal_services.dispatch.parts import REQUESTS, Kind, Part, parts_of
from gridsignal_services.dispatch.settled_tables import (
    LOOKING_UP,
    SETTLED,
    UNSETTLING,
    body_of,
    unsettle,
    write_settled,
)
from gridsignal_services.kept_file import TooMany
from gridsignal_services.ledger.book import Book

MOST = 1000
MOST_BYTES = 16 * 1024 * 1024
"""Some five thousand offers: less than a second of reading, and four times as much memory while the answer is made."""
TABLES = (
    """
create table stamp (text text);
create table reach (partition integer primary key, position integer);
create table finished (
    number integer primary key, request_id text not null, partition integer, offset integer, ends_us integer
);
create unique index by_request on finished (request_id);
create index by_place on finished (partition, offset);
create table part (id integer primary key, number integer, kind text, site text, size integer, body blob);
create index by_number on part (number, kind);
create table ordered (order_id text primary key, part integer, starts_us integer, ends_us integer) without rowid;
create index by_part on ordered (part);
create table concerned (
    name text, kind text, ends_us integer, number integer, part integer, zone text, starts_us integer, size integer,
    primary key (name, kind, ends_us, number, part)
) without rowid;
create index of_request on concerned (number, name, kind);
create index by_length on concerned (name, kind, ends_us - starts_us);
"""
    + SETTLED
)
"""A row of `concerned` has the period of what its name sees there: others' orders move no bound of an answer."""


_FROM_HERE_ON = "select number from finished where partition = ? and offset >= ?"
_BY_NAME = "select number from finished where request_id = ?"
_DELETING = (
    "delete from concerned where number = ?",
    "delete from ordered where part in (select id from part where number = ?)",
    "delete from part where number = ?",
    "delete from finished where number = ?",
)
_REACH = "update reach set position = min(position, ?) where partition = ?"
FORGETTING = (_FROM_HERE_ON, *_DELETING, UNSETTLING, _REACH)
"""What a start does for each partition and the position where it begins: it costs by what it forgets."""
_LONGEST = "select max(ends_us - starts_us) from concerned where name = ? and kind = ?"
_CONCERNED = """
select number, part, size from concerned
where name = ? and kind = ? and ends_us > ? and ends_us < ? and starts_us < ?
and zone in (select value from json_each(?)) order by ends_us, number, part
"""
_OF_REQUEST = """
select concerned.part, concerned.size from finished cross join json_each(?) names cross join json_each(?) kinds
cross join concerned on concerned.number = finished.number and concerned.name = names.value
and concerned.kind = kinds.value where request_id = ?
"""
_OF_ORDER = """
select concerned.part, concerned.size from ordered join part on part.id = ordered.part join finished using (number)
cross join json_each(?) names join concerned on concerned.number = part.number and concerned.name = names.value
and concerned.kind = part.kind and concerned.part = part.id where order_id = ?
"""
_HEAD = """
select request_id, partition, ends_us, max(part.id), size from finished join part using (number)
where number = ? and kind in (select value from json_each(?))
and (kind <> ? or exists (
    select 1 from json_each(?) names cross join concerned on concerned.number = part.number
    and concerned.name = names.value and concerned.kind = part.kind
))
"""
_AT_SITE = """
select concerned.number, ordered.starts_us, ordered.ends_us from concerned
cross join finished on finished.number = concerned.number cross join part on part.id = concerned.part
cross join ordered on ordered.part = part.id
where name = ? and concerned.kind = ? and concerned.ends_us > ? and concerned.ends_us < ? and concerned.starts_us < ?
and zone in (select value from json_each(?)) and part.site = ?
"""
LOOKING = (
    *(_LONGEST, _CONCERNED, _OF_REQUEST, _OF_ORDER, _HEAD, _AT_SITE),
    *LOOKING_UP,
)
"""What a question does before it reads: it costs by what it finds."""


class Kept(NamedTuple):
    """As much of a request as an answer reads."""

    request_id: str
    partition: int
    ends_us: int
    parts: tuple[int, ...]
    """Their ids, the request's own first."""
    size: int
    """Of all of them, in bytes of JSON."""


class Question(NamedTuple):
    """Whose parts, and which."""

    names: Sequence[str]
    """They concern one of these."""
    kinds: Sequence[Kind]


class Period(NamedTuple):
    """What touches [from, to) in these zones."""

    zones: Sequence[str]
    from_us: int
    to_us: int


def write(file: sqlite3.Connection, partition: int, offset: int, book: Book) -> None:
    """Puts a book that holds one request into the tables, in place of what they have of it; or one settlement alone.

    Its own row comes last, and nothing is found without that: what could not be written whole is not there.
    """
    write_settled(file, partition, offset, book)
    if not book.requests:
        return
    (tracked,) = book.requests.values()
    request = tracked.request
    written = [(part, part.body) for part in parts_of(book)]
    _delete(file, file.execute(_BY_NAME, (request.request_id,)).fetchall())
    (number,) = file.execute("select coalesce(max(id), 0) + 1 from part").fetchone()
    for part, body in written:
        cells = (number, part.kind, part.site, len(body), zlib.compress(body, 1))
        place = file.execute("insert into part values (null, ?, ?, ?, ?, ?)", cells).lastrowid
        concerned = [
            (name, kind, ends_us, number, place, request.zone, starts_us, len(body))
            for name, kind, starts_us, ends_us in _concerned(part, request)
        ]
        file.executemany("insert into concerned values (?, ?, ?, ?, ?, ?, ?, ?)", concerned)
        periods = [
            (order_id, place, micros(order.order.starts_at), order.order.ends_at and micros(order.order.ends_at))
            for order_id, order in part.book.orders.items()
        ]
        file.executemany("insert or replace into ordered values (?, ?, ?, ?)", periods)
    row = (number, request.request_id, partition, offset, micros(request.ends_at))
    file.execute("insert into finished values (?, ?, ?, ?, ?)", row)


def _concerned(part: Part, request: DispatchRequest) -> Iterator[tuple[str, Kind, int, int]]:
    """Whom a part concerns, with what and when: in the request's period, and as far as their own orders reach."""
    operator, orders = f"operator:{request.operator}", [tracked.order for tracked in part.book.orders.values()]
    for name in part.names:
        own = [order for order in orders if name in (operator, f"participant:{order.participant}")]
        kind = Kind.OFFERED if part.kind is Kind.ORDERED and not own else part.kind
        starts_at = min([request.starts_at, *(order.starts_at for order in own)])
        ends_at = max([request.ends_at, *(order.ends_at or FOR_EVER for order in own)])
        yield name, kind, micros(starts_at), micros(ends_at)


def forget(file: sqlite3.Connection, partition: int, position: int) -> None:
    """Takes out what was let go of from a position on."""
    _delete(file, file.execute(_FROM_HERE_ON, (partition, position)).fetchall())
    unsettle(file, partition, position)
    file.execute(_REACH, (position, partition))


def _delete(file: sqlite3.Connection, numbers: Sequence[tuple[int]]) -> None:
    for deleting in _DELETING:
        file.executemany(deleting, numbers)


def find_request(file: sqlite3.Connection, asked: Question, request_id: str) -> Kept | None:
    """What of a request is asked for. None: nothing is there."""
    rows = file.execute(_OF_REQUEST, (json.dumps(asked.names), json.dumps(asked.kinds), request_id)).fetchall()
    return _kept(file, asked, file.execute(_BY_NAME, (request_id,)).fetchone()[0], dict(rows)) if rows else None


def find_order(file: sqlite3.Connection, asked: Question, order_id: str) -> Kept | None:
    """The part that holds an order. None: it is not there, or concerns others."""
    row = file.execute(_OF_ORDER, (json.dumps(asked.names), order_id)).fetchone()
    if row is None:
        return None
    (number,) = file.execute("select number from part where id = ?", row[:1]).fetchone()
    return _kept(file, asked, number, dict([row]))


def find_touching(
    file: sqlite3.Connection, asked: Question, period: Period, most: int = MOST, most_bytes: int = MOST_BYTES
) -> list[Kept]:
    """What is asked for of a period, the earliest end first. Raises TooMany; one request is never too much."""
    found: dict[int, dict[int, int]] = {}
    size = 0
    for number, part, part_size in _rows(file, asked, period, _CONCERNED):
        parts = found.setdefault(number, {})
        size += 0 if part in parts else part_size
        parts[part] = part_size
        _must_be_few(len(found), size, most, most_bytes)
    there = filter(None, (_kept(file, asked, number, parts) for number, parts in found.items()))
    kept = sorted(there, key=lambda one: (one.ends_us, one))
    _must_be_few(len(kept), sum(one.size for one in kept), most, most_bytes)
    return kept


def find_periods(
    file: sqlite3.Connection, asked: Question, period: Period, site: str, most: int = MOST
) -> list[tuple[datetime, datetime | None]]:
    """The periods of the orders to a site on the requests of a period. Raises TooMany."""
    requests: set[int] = set()
    found: list[tuple[datetime, datetime | None]] = []
    for number, starts_us, ends_us in _rows(file, asked, period, _AT_SITE, site):
        requests.add(number)
        _must_be_few(len(requests), 0, most, 0)
        found.append((from_micros(starts_us), None if ends_us is None else from_micros(ends_us)))
    return found


def fetch(file: sqlite3.Connection, kept: Sequence[Kept]) -> list[tuple[int, list[bytes]]]:
    """The partition and the parts of each."""
    return [(one.partition, [body_of(file, part) for part in one.parts]) for one in kept]


def _rows(
    file: sqlite3.Connection, asked: Question, period: Period, statement: str, *more: str
) -> Iterator[tuple[int, Any, Any]]:
    """What a statement finds of what concerns somebody; twice where it does under two names."""
    zones = json.dumps(period.zones)
    for name in asked.names:
        for kind in asked.kinds:
            longest = file.execute(_LONGEST, (name, kind)).fetchone()[0] or 0
            until_us = period.to_us + longest  # what ends later than that has begun later
            yield from file.execute(statement, (name, kind, period.from_us, until_us, period.to_us, zones, *more))


def _kept(file: sqlite3.Connection, asked: Question, number: int, parts: dict[int, int]) -> Kept | None:
    """With the request itself, as its operator has it where they are."""
    wanted = (number, json.dumps(REQUESTS), Kind.OWNED, json.dumps(asked.names))
    request_id, partition, ends_us, head, size = file.execute(_HEAD, wanted).fetchone()
    if head is None:
        return None
    parts = {head: size, **parts}
    return Kept(request_id, partition, ends_us, tuple(sorted(parts)), sum(parts.values()))


def _must_be_few(requests: int, size: int, most: int, most_bytes: int) -> None:
    if requests > most:
        raise TooMany(f"more than {most} requests that are over")
    if size > most_bytes and requests > 1:
        raise TooMany(f"more on requests that are over than the {most_bytes >> 20} MB that one answer reads")
