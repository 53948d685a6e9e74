"""The state of a ledger as pieces, each small: JSON lines of a path and what lies there.

The fields of the book and of what it is made of are paths, such as "book.announcements._last"; what is a list or a dict
there comes in several pieces.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from gridsignal_schemas.messages import GridClock
from gridsignal_services.checkpoints.forms import form_of, hints_of, leaf
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.offsets import Offsets
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tree import Tree

_PIECE = 64
"""Items of a list or dict in one piece: copying them takes a fraction of a millisecond."""


class Piece(NamedTuple):
    """A part of the state that nobody changes any more."""

    path: str
    held: Any


@dataclass(slots=True)
class _State:
    """All that a ledger knows, but for its position."""

    book: Book = field(default_factory=Book)
    grid: GridClock | None = None
    refused_offsets: Offsets = field(default_factory=Offsets)
    tree: Tree = field(default_factory=Tree)


def pieces_of(ledger: Ledger) -> Iterator[Piece]:
    """The ledger's state. The ledger must not reduce anything before the last piece is taken."""
    return _pieces(_State(ledger.book, ledger.grid, ledger.refused_offsets, ledger.tree), "")


def ledger_of(partition: int, position: int, lines: Iterable[bytes]) -> Ledger:
    """The ledger that was written. Raises many things for what was not written by this very code."""
    state, ledger = _State(), Ledger(partition)
    for line in lines:
        _take(state, line)
    _share_audiences(state.book)
    ledger.book, ledger.grid, ledger.refused_offsets = state.book, state.grid, state.refused_offsets
    ledger.tree = state.tree
    ledger.position = position
    return ledger


def written(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """Each as a line."""
    return (json.dumps(piece, default=leaf, separators=(",", ":")).encode() + b"\n" for piece in pieces)


def bytes_of(book: Book) -> bytes:
    """A book that nobody changes; what a new one has, too, is left out."""
    return b"".join(written(piece for piece in _pieces(book, "") if piece != _new().get(piece.path)))


@cache
def _new() -> dict[str, Piece]:
    return {piece.path: piece for piece in _pieces(Book(), "")}


def book_of(read: bytes) -> Book:
    """The book that was written. Raises as `ledger_of` does."""
    book = Book()
    for line in read.splitlines():
        fill(book, line)
    _share_audiences(book)
    return book


def fill(book: Book, line: bytes) -> None:
    """Puts a line of `bytes_of` into a book that `book_of` would make of all of them. Raises as `ledger_of` does."""
    _take(book, line)


def _pieces(owner: Any, prefix: str) -> Iterator[Piece]:
    owners: Any = type(owner)
    hints = hints_of(owners)
    for each in fields(owner):
        path, value = prefix + each.name, getattr(owner, each.name)
        if is_dataclass(value):
            yield from _pieces(value, path + ".")
            continue
        kind = hints[each.name]
        hold = form_of(kind).hold
        if not isinstance(value, dict | list | deque):
            yield Piece(path, value if hold is None else hold(value))
            continue
        # a list may be put in order by those who read it; what a dict has is changed by the reduce alone
        items = iter(value.items() if isinstance(value, dict) else list(value))
        while part := list(islice(items, _PIECE)):
            held = type(value)(part) if not isinstance(value, dict) else dict(part)
            yield Piece(path, held if hold is None else hold(held))


def _take(owner: Any, line: bytes) -> None:
    path, read = json.loads(line)
    *parents, name = path.split(".")
    of = owner
    for parent in parents:
        of = getattr(of, parent)
    kind: Any = type(of)
    load = form_of(hints_of(kind)[name]).load
    value = read if load is None else load(read)
    there = getattr(of, name)
    if isinstance(there, Counter):
        dict.update(there, value)  # a counter's own would add
    elif isinstance(there, dict):
        there.update(value)
    elif isinstance(there, list | deque):
        there.extend(value)
    else:
        setattr(of, name, value)


def _share_audiences(book: Book) -> None:
    """Equal ones are one again."""
    for request_id, audience in book.past.audiences.items():
        book.past.keep_audience(request_id, audience)
