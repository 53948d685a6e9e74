"""Parameters have one text, and so one hash, however they were written down."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.canonical import canonical, sha256_of

NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
)
PARAMETERS = st.dictionaries(NAMES, VALUES)


@given(PARAMETERS)
def test_the_canonical_bytes_say_the_same(parameters: dict[str, Any]) -> None:
    assert json.loads(canonical(parameters)) == parameters


@given(PARAMETERS, st.randoms())
def test_the_order_of_writing_does_not_count(parameters: dict[str, Any], chance: Any) -> None:
    items = list(parameters.items())
    chance.shuffle(items)
    assert sha256_of(dict(items)) == sha256_of(parameters)


def test_the_bytes_are_those_that_anybody_can_write() -> None:
    parameters = {"x": 10, "clip": ["0.8", "1.2"], "pick": "LATEST", "note": "Zürich"}
    assert canonical(parameters) == '{"clip":["0.8","1.2"],"note":"Zürich","pick":"LATEST","x":10}'.encode()
    assert sha256_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # sha256 of {}


@pytest.mark.parametrize("value", [0.8, Decimal("0.8"), 2**53, b"x", {1: 2}, {"é": 1}], ids=repr)
def test_a_value_without_one_text_is_refused_by_its_place(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^parameters\.inner\[1\]: expected "):
        canonical({"inner": [1, value]})
