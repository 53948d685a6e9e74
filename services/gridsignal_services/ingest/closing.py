"""What is no longer in force: notices that a newer one replaces, events that their feed lists no more.

An alert is cleared by a revision with an end, a request by a cancellation. A feed that lists everything in force
cancels by leaving out; it has to leave out twice, since lists that are read page by page can move under the reader.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from gridsignal_schemas.messages import DispatchRequest, GridAlert, Record, RequestCancellation
from gridsignal_schemas.records import identity_of
from gridsignal_services.ingest.revisions import SeriesRevisions


def superseded(alert: GridAlert, revisions: SeriesRevisions) -> list[Record]:
    """The ends of those published alerts that this one replaces."""
    return [ended(older, alert.issued_at) for older in revisions.replaced_by(alert)]


def ended(record: GridAlert | DispatchRequest, now: datetime) -> Record:
    """What says that an alert or a request is over now."""
    if isinstance(record, GridAlert):
        return record.model_copy(update={"starts_at": min(record.starts_at, now), "ends_at": now})
    return RequestCancellation(
        zone=record.zone,
        request_id=record.request_id,
        actor=record.operator,
        reason_code="NO_LONGER_LISTED",
        reason="the operator's server no longer lists the event",
    )


Listed = GridAlert | DispatchRequest
"""What a feed lists as long as it stands."""


class Absences:
    """Which standing alerts and requests a complete list left out the last time; those that stand, and no others."""

    def __init__(self) -> None:
        self._missed: dict[tuple[str, str], set[str]] = {}

    def closings(
        self,
        feed: tuple[str, str],
        standing: Iterable[Listed],
        in_force: Iterable[Record],
        now: datetime,
    ) -> list[Record]:
        """The ends of what a feed (provider, zone) left out of its list for the second time in a row."""
        listed = {identity_of(record) for record in in_force}
        absent = {key: record for record in standing if (key := identity_of(record)) is not None and key not in listed}
        missed_before = self._missed.get(feed, set())
        self._missed[feed] = absent.keys() - missed_before
        return [ended(record, now) for key, record in absent.items() if key in missed_before]
