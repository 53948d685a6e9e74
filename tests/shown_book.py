"""The book of a request, read from what its operator is answered."""

from __future__ import annotations

from gridsignal_services.dispatch.book import BookView
from gridsignal_services.dispatch.book_answer import texts
from gridsignal_services.ledger.book import Book


def shown_book(book: Book, request_id: str) -> BookView:
    """Raises KeyError for a request this book doesn't hold."""
    return BookView.model_validate_json("".join(texts(book, request_id)))
