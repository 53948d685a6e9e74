"""Sums of money as they are shown: as wide as whatever the ledger has accepted makes them.

A record's own money has eighteen digits; prices times energy, and fees per watt, have more, and a line of a page that
can't be shown must not take the page with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, localcontext
from typing import Annotated

from pydantic import Field, PlainSerializer

from gridsignal_schemas.values import text_of_decimal

Amount = Annotated[
    Decimal,
    Field(strict=False, allow_inf_nan=False),
    PlainSerializer(text_of_decimal, return_type=str, when_used="json"),
]
"""Money of any size, four decimal places; in JSON a string."""
_DIGITS = 100


@contextmanager
def exactly() -> Iterator[None]:
    """Arithmetic with room for the products and sums of any records: the default's 28 digits are too few."""
    with localcontext(prec=_DIGITS):
        yield
