"""Periods that are asked about: how they are written, and how long they may be."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Query

from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.values import Timestamp
from gridsignal_services.dispatch.statement import Month
from gridsignal_services.rest import problems

From = Annotated[Timestamp, Query(alias="from", examples=["2024-05-12T18:00:00Z"])]
To = Annotated[Timestamp, Query(examples=["2024-05-12T19:00:00Z"])]
WEEK, MONTH = timedelta(days=7, hours=1), timedelta(days=31, hours=1)
"""By the clock of a zone: on one of their days it is set back by an hour."""


def asked_month(text: str) -> Month:
    """The month in an address. Raises Problem 422."""
    try:
        return Month.parse(text)
    except ValueError as wrong:
        raise problems.invalid([fault("PERIOD", "?month", str(wrong))]) from None


def must_be_a_period(from_: datetime, to: datetime, longest: timedelta) -> None:
    """Raises Problem 422 unless `to` comes after `from_`, and at most `longest` after it."""
    if not from_ < to <= from_ + longest:
        raise problems.invalid([fault("PERIOD", "?to", f"expected after from and at most {longest.days} days later")])
