"""The table of settlements that have left the ledger's memory: which orders a later reading still corrects, and by what
they are settled.

Bounded: a row for each order that was settled, and one for each version that was written after its order had left.
"""

from __future__ import annotations

import sqlite3
import zlib

from gridsignal_services.checkpoints.lines import bytes_of
from gridsignal_services.clock import micros
from gridsignal_services.dispatch.parts import Kind
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.tracked import TrackedSettlement

SETTLED = """
create table settled (
    order_id text, offset integer, partition integer, site text, starts_us integer, ends_us integer,
    until_us integer, logged_us integer, body blob, primary key (order_id, offset)
) without rowid;
create index settled_at on settled (site, ends_us);
create index settled_by_length on settled (site, ends_us - starts_us);
create index settled_by_place on settled (partition, offset);
"""
"""A row is a settlement as it left: the period whose readings it is from, until when they still correct it, and when it
was logged. Without a body it is in its order's part."""
UNSETTLING = "delete from settled where partition = ? and offset >= ?"
_PART_OF = "select part, number from ordered join part on part.id = ordered.part where order_id = ?"
_OWNED_OF = "select id from part where number = ? and kind = ?"
_LONGEST = "select max(ends_us - starts_us) from settled where site = ?"
_AT = """
select order_id from settled
where site = ? and ends_us > ? and ends_us < ? and starts_us < ? and logged_us <= ? and until_us >= ?
"""
LOOKING_UP = (_PART_OF, _OWNED_OF, _LONGEST, _AT)
_SINCE = "select min(starts_us) from settled where order_id = ?"
_LATER = """
select settled.body from ordered cross join settled using (order_id)
where ordered.part = ? and settled.body is not null order by settled.offset
"""
_UNTIL = "select site, max(ends_us) from settled group by site"


def write_settled(file: sqlite3.Connection, partition: int, offset: int, book: Book) -> None:
    """The settlements of a book, whose orders are in it or have left before."""
    for settlement in book.settlements.values():
        starts_us, body = _period_and_body(file, book, settlement)
        of = settlement.of
        period = starts_us, micros(settlement.ended_at), micros(of.corrected_until)
        logged_us = 0 if settlement.logged_at is None else micros(settlement.logged_at)
        row = (settlement.order_id, offset, partition, of.site, *period, logged_us, body)
        file.execute("insert or replace into settled values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def _period_and_body(file: sqlite3.Connection, book: Book, settlement: TrackedSettlement) -> tuple[int, bytes | None]:
    order_id, of = settlement.order_id, settlement.of
    if (order := book.orders.get(order_id)) is None:
        (starts_us,) = file.execute(_SINCE, (order_id,)).fetchone()
        return starts_us, zlib.compress(bytes_of(Book(settlements={order_id: settlement})), 1)
    fixed = book.fixed.get((of.request_id, of.site))
    window = None if fixed is None else fixed.record.window_starts_at
    return micros(min(order.order.starts_at, window or order.order.starts_at)), None


def unsettle(file: sqlite3.Connection, partition: int, position: int) -> None:
    """Takes out what left from a position on: what left before is what holds again."""
    file.execute(UNSETTLING, (partition, position))


def body_of(file: sqlite3.Connection, part: int) -> bytes:
    """A part, with what became of its settlements since: of what is told twice the later holds."""
    bodies = [*file.execute("select body from part where id = ?", (part,)), *file.execute(_LATER, (part,))]
    return b"".join(zlib.decompress(each) for (each,) in bodies)


def find_settled(file: sqlite3.Connection, order_id: str) -> list[bytes] | None:
    """The parts that an order is settled from, its request's first. None: it was not kept."""
    if (place := file.execute(_PART_OF, (order_id,)).fetchone()) is None:
        return None
    owned = file.execute(_OWNED_OF, (place[1], Kind.OWNED)).fetchone()
    return None if owned is None else [body_of(file, owned[0]), body_of(file, place[0])]


def find_settled_at(
    file: sqlite3.Connection, site: str, starts_us: int, ends_us: int, logged_by_us: int, now_us: int
) -> list[str]:
    """The orders of a site that touch a stretch, may still be corrected, and of which a version was logged by then."""
    longest = file.execute(_LONGEST, (site,)).fetchone()[0] or 0
    asked = (site, starts_us, ends_us + longest, ends_us, logged_by_us, now_us)
    return list(dict.fromkeys(order_id for (order_id,) in file.execute(_AT, asked)))


def find_settled_until(file: sqlite3.Connection) -> dict[str, int]:
    """The latest end of the settled orders of each site."""
    return dict(file.execute(_UNTIL).fetchall())
