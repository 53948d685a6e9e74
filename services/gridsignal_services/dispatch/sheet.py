"""Lists for a spreadsheet: what an operation answers as JSON, as CSV for whoever accepts that. One row each.

The same columns, in the same order, whatever is in the list; without rows their head line alone.
"""

from __future__ import annotations

import json

from fastapi import Request, Response
from pydantic import BaseModel

from gridsignal_schemas.sheets import Sheet
from gridsignal_services.rest.accept import CSV, JSON, preferred
from gridsignal_services.work import Work

LISTS: set[str] = set()
"""The paths of what can be had as CSV, too."""


def sheet_at(path: str, *shapes: type[BaseModel], rows: str = "", **how: str) -> Sheet:
    """The sheet of a list: `Sheet.of`, and the path is listed as one that has it."""
    LISTS.add(path)
    return Sheet.of(rows, *shapes, **how)


async def as_asked(request: Request, answer: Response, sheet: Sheet, work: Work) -> Response:
    """A list as JSON, or as CSV where that is preferred; the next page of CSV is in `Link`."""
    if preferred(request.headers.getlist("accept"), (JSON, CSV)) != CSV:
        answer.headers["Vary"] = "Accept"
        return answer
    text, following = await work.away(_converted, bytes(answer.body), sheet)
    headers = {"Vary": "Accept"}
    if following is not None:
        headers["Link"] = f'<?{request.url.include_query_params(after=following).query}>; rel="next"'
    return Response(text, headers=headers, media_type=f"{CSV}; charset=utf-8")


def _converted(body: bytes, sheet: Sheet) -> tuple[str, str | None]:
    value = json.loads(body)
    return sheet.text(value[sheet.rows] if sheet.rows else value), value.get("next") if sheet.rows else None
