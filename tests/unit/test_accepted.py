"""What a caller takes is read as HTTP has it."""

from __future__ import annotations

import pytest

from gridsignal_services.rest.accept import CSV, JSON, preferred


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        ([], JSON),
        ([""], JSON),
        (["*/*"], JSON),
        (["text/csv"], CSV),
        (["TEXT/CSV; charset=utf-8"], CSV),
        (["text/*"], CSV),
        (["text/csv, */*;q=0.1"], CSV),
        (["text/csv;q=0.5, application/json"], JSON),
        (["application/json;q=0.5", "text/csv"], CSV),
        (["text/csv, application/json"], JSON),
        (["*/*, application/json;q=0"], CSV),
        (["text/html,application/xhtml+xml,*/*;q=0.8"], JSON),
        (["text/csv;q=nonsense"], CSV),
        (["application/xml"], None),
        (["text/csv;q=0"], None),
        (["application/xml, text/html;q=0.9"], None),
    ],
)
def test_the_type_that_is_liked_most(accept: list[str], type_: str | None) -> None:
    assert preferred(accept, (JSON, CSV)) == type_
