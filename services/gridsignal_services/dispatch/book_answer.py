"""The operator's book as an answer: put together beside the loop, from the book as it was when its turn came.

A full book is thousands of offers of eight options, which take seconds to put in order and to write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastapi import Response

from gridsignal_services.access import Principal
from gridsignal_services.dispatch.book import head, line
from gridsignal_services.dispatch.door import Door
from gridsignal_services.dispatch.parts import WHOLE
from gridsignal_services.dispatch.written import around, json
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.excerpt import excerpt
from gridsignal_services.ledger.ranking import call_order
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.rest import problems
from gridsignal_services.work import Work

_FEW = 8
"""Offers that are looked up and written in a few milliseconds, whatever they hold."""


async def book_answer(
    door: Door,
    who: Principal,
    work: Work,
    ledger: Ledger,
    request_id: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The book of one request that is theirs, made in a turn; with `headers` it answers a write. Raises Problem 404."""
    held = await held_of(door, who, work, ledger, request_id)
    pieces = await work.each_away(texts(held, request_id))
    return json("".join(pieces), headers)


async def held_of(door: Door, who: Principal, work: Work, ledger: Ledger, request_id: str) -> Book:
    """The request's part of the ledger that has it, or had it until a moment ago, as it is between two records.

    Raises Problem 404.
    """
    await door.replica.whole()
    if (holder := await door.past(who, work).holding(ledger, WHOLE, request_id)) is None:
        raise problems.not_found("request")
    with work.here():
        return excerpt(holder.book, request_id)


def texts(book: Book, request_id: str) -> Iterator[str]:
    """The JSON of a BookView, in pieces of a few offers; empty where nothing is written yet.

    Raises KeyError for a request this book doesn't hold.
    """
    keys = call_order(book, request_id)
    yield ""
    start, rest = around(head(book, request_id), "offers")
    between, end = rest[: -len("]}")], rest[-len("]}") :]
    for first in range(0, len(keys), _FEW):
        lines = (line(book, key, place) for place, key in enumerate(keys[first : first + _FEW], first + 1))
        yield start + ",".join(each.model_dump_json() for each in lines)
        start = ","
    yield between if keys else start + between
    for number, clearing in enumerate(book.requests[request_id].clearings):
        yield ("," if number else "") + clearing.model_dump_json()
    yield end
