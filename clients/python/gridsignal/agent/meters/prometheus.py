"""A query of Prometheus that yields one series of watts, such as the sum over all GPUs of DCGM's exporter.

An exporter that is away must leave a gap and no lower sum: `... and on() (min(up{job="dcgm"}) == 1)` in the query.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from gridsignal.addresses import shown
from gridsignal.agent.meters import MeterFailed
from gridsignal.agent.meters.csv_file import mean_of
from gridsignal.agent.web import WebFailed, exchange
from gridsignal.agent.words import power
from gridsignal_schemas.values import rfc3339

_MOST_POINTS = 10_000


def asked(start: datetime, end: datetime, step_s: int) -> tuple[datetime, datetime, int]:
    """The first and the last point, and seconds between two, so that points that hold a step cover [start, end).

    From a whole second on: Prometheus cuts times to milliseconds, and a point before the start covers it all the same.
    """
    first = start.replace(microsecond=0)
    step_s = max(step_s, int((end - first).total_seconds()) // _MOST_POINTS + 1)
    step = timedelta(seconds=step_s)
    return first, first + (end - first - timedelta.resolution) // step * step, step_s


class PrometheusMeter:
    """Asks `/api/v1/query_range` for a point each `step_s`; each holds until the next."""

    def __init__(self, url: str, query: str, *, step_s: int = 15, timeout_s: float = 10.0) -> None:
        self._url, self._query, self._step_s, self._timeout_s = url.rstrip("/"), query, step_s, timeout_s

    async def mean_w(self, start: datetime, end: datetime) -> int | None:
        first, last, step_s = asked(start, end, self._step_s)
        points = await self._points(first, last, step_s)
        return mean_of(points, start, end, timedelta(seconds=step_s))

    async def check(self, now: datetime) -> str:
        points = await self._points(now - timedelta(seconds=self._step_s), now, self._step_s)
        if not points:
            raise MeterFailed(f"{shown(self._url)}: expected a series, got none: {self._query:.200}")
        return f"{power(points[-1][1])}"

    async def _points(self, start: datetime, end: datetime, step_s: int) -> list[tuple[datetime, float]]:
        said = {"query": self._query, "start": rfc3339(start), "end": rfc3339(end), "step": str(step_s)}
        try:
            status, answer, _ = await exchange(f"{self._url}/api/v1/query_range", timeout_s=self._timeout_s, query=said)
        except WebFailed as error:
            raise MeterFailed(str(error)) from error
        try:
            found = json.loads(answer)
            if status != 200:
                raise MeterFailed(f"{shown(self._url)}: {status}: {found.get('error', '')!s:.200}")
            series = found["data"]["result"]
            if len(series) > 1:
                raise MeterFailed(f"{shown(self._url)}: expected one series, got {len(series)}: sum() them")
            points = [
                (datetime.fromtimestamp(at, start.tzinfo), float(w)) for each in series for at, w in each["values"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MeterFailed(f"{shown(self._url)}: expected an answer of Prometheus, got {answer[:100]!r}") from error
        return points
