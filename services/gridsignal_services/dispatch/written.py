"""Long answers as JSON, put together row by row: written all at once they would keep everybody waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from fastapi import Response
from pydantic import BaseModel

from gridsignal_services.work import Work

T = TypeVar("T")


def around(head: BaseModel, name: str) -> tuple[str, str]:
    """What stands before and after the rows of `name`, a list that is empty in `head`."""
    before, start, after = head.model_dump_json().partition(f'"{name}":[')
    return before + start, after


async def written(
    head: BaseModel, name: str, rows: Iterable[T], shown: Callable[[T], BaseModel], work: Work
) -> Response:
    """An answer whose list `name` has these rows, as they are shown when each has its turn."""
    texts = await work.each(rows, lambda row: shown(row).model_dump_json())
    return json_of(head, name, texts)


def json_of(head: BaseModel, name: str, rows: Iterable[str]) -> Response:
    """An answer whose list `name` has these rows."""
    before, after = around(head, name)
    return json(f"{before}{','.join(rows)}{after}")


def json(text: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that is JSON already."""
    return Response(text, headers=headers, media_type="application/json")
