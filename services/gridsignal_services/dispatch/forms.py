"""The forms of a report: JSON, CSV, and a page to print."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import Query, Request

from gridsignal_services.rest.accept import CSV, HTML, JSON, preferred

FORMS = (JSON, CSV, HTML)
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


class Form(StrEnum):
    JSON = "json"
    CSV = "csv"
    PAGE = "page"


FormAsked = Annotated[Form | None, Query(alias="format", description="In place of what Accept says.")]
_TYPES = {Form.JSON: JSON, Form.CSV: CSV, Form.PAGE: HTML}


def form_of(request: Request, form: Form | None) -> str:
    """The media type that a report is asked for as."""
    return _TYPES[form] if form else preferred(request.headers.getlist("accept"), FORMS) or JSON
