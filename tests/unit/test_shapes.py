"""What is wrong with a shape is said in the same codes and words at every door, and in none of a library's."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from gridsignal_schemas import strict_json
from gridsignal_schemas.frames import Hello, Subscribe
from gridsignal_schemas.messages import RECORDS
from gridsignal_schemas.rules import shapes
from gridsignal_schemas.rules.writes import details_of
from gridsignal_services.dispatch.shapes import RequestBody

THEIRS = re.compile(r"\b(should|Input|String|List|Value error|pydantic)\b")


def details(shape: Any, value: dict[str, Any]) -> list[tuple[str, str, str]]:
    with pytest.raises(ValidationError) as raised:
        shape.model_validate(value)
    return [(each.code, each.pointer, each.message) for each in details_of(raised.value)]


@pytest.mark.parametrize(
    ("value", "code", "pointer", "message"),
    [
        ({"filter": {"zones": []}}, "INVALID_VALUE", "/filter/zones", "expected at least 1 value, got an empty list"),
        (
            {"filter": {"zones": ["FR"] * 257}},
            "INVALID_VALUE",
            "/filter/zones",
            "expected at most 256 values, got a list of 257",
        ),
        ({"filter": {"zone": ["FR"]}}, "UNKNOWN_FIELD", "/filter/zone", "expected no such field"),
        ({"cursor": ""}, "INVALID_VALUE", "/cursor", "expected at least 1 character, got ''"),
        ({"mode": "some"}, "UNKNOWN_SYMBOL", "/mode", "expected 'every' or 'latest', got 'some'"),
        ({"stream": "x" * 65}, "INVALID_VALUE", "/stream", None),
        ({"id": "7"}, "INVALID_VALUE", "/id", "expected a valid integer, got '7'"),
        ({"stream": None}, "INVALID_VALUE", "/stream", "expected a valid string, got None"),
    ],
)
def test_a_frame_is_told_what_was_expected_and_got(
    value: dict[str, Any], code: str, pointer: str, message: str | None
) -> None:
    (fault,) = details(Subscribe, {"id": 1, "stream": "prices"} | value)
    assert fault[:2] == (code, pointer)
    assert (message or fault[2]) == fault[2]
    assert not THEIRS.search(fault[2])


def test_every_pattern_of_the_contract_has_words() -> None:
    """Whatever record or body it is in: the words are for people, and a pattern is not."""
    text = "".join(
        json.dumps(shape.model_json_schema()) for shape in (*RECORDS.values(), RequestBody, Subscribe, Hello)
    )
    patterns = set(re.findall(r'"pattern": "([^"]*)"', text))
    assert {"^[A-Za-z0-9_-]{1,64}$", "^[A-Z]{3}$"} <= patterns <= set(shapes.PATTERNS)


def test_a_token_is_never_said_back() -> None:
    ((_, pointer, message),) = details(Hello, {"id": 1, "client": "us", "token": "secret" * 4000})
    assert (pointer, "secret" in message) == ("/token", False)


@pytest.mark.parametrize("text", [b"{}", b'{"zone": "", "power_w": 0.5, "colour": 1, "direction": "UP"}'])
def test_a_body_is_told_the_same_as_a_frame(text: bytes) -> None:
    with pytest.raises(strict_json.NotTheShape) as raised:
        strict_json.read(RequestBody, text)
    with pytest.raises(ValidationError) as invalid:
        RequestBody.model_validate_json(text)
    assert raised.value.faults == details_of(invalid.value)
    assert not [fault for fault in raised.value.faults if THEIRS.search(fault.message)]
