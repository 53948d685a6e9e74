"""Bodies are read exactly: everything that is wrong is named with its JSON pointer, all at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.strict_json import MAX_DEPTH, MAX_FAULTS, NotJson, NotTheShape, faults_of, read
from gridsignal_services.dispatch.shapes import AwardBody, ExtendBody, RequestBody

BODY: dict[str, Any] = {
    "zone": "DE-LU",
    "direction": "LOAD_DECREASE",
    "power_w": 12_000_000,
    "starts_at": "2024-05-12T18:00:00Z",
    "ends_at": "2024-05-12T20:45:00+02:00",
    "gate_closure_at": "2024-05-12T17:00:00Z",
    "decision_deadline": "2024-05-12T17:10:00Z",
}


def faults(text: str | dict[str, Any]) -> dict[str, str]:
    """pointer -> code."""
    with pytest.raises(NotTheShape) as refused:
        read(RequestBody, (text if isinstance(text, str) else json.dumps(text)).encode())
    return {fault.pointer: fault.code for fault in refused.value.faults}


def test_seven_fields_are_enough() -> None:
    body = read(RequestBody, json.dumps(BODY).encode())
    assert (body.visibility, body.pricing, body.firmness) == ("PUBLIC", "PAY_AS_BID", "VOLUNTARY")
    assert body.ends_at.isoformat() == "2024-05-12T18:45:00+00:00"


def test_each_of_the_seven_is_needed() -> None:
    for name in BODY:
        assert faults({key: value for key, value in BODY.items() if key != name}) == {f"/{name}": "MISSING_FIELD"}


def test_all_mistakes_are_told_at_once() -> None:
    assert faults(BODY | {"power_w": "5", "starts_at": "2024-05-12T18:00:00", "colour": 1, "pricing": "CHEAP"}) == {
        "/power_w": "INVALID_VALUE",
        "/starts_at": "INVALID_VALUE",
        "/colour": "UNKNOWN_FIELD",
        "/pricing": "UNKNOWN_SYMBOL",
    }


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(number: str) -> None:
    assert faults(json.dumps(BODY).replace("12000000", number)) == {"/power_w": "NOT_A_NUMBER"}


def test_a_key_that_comes_twice_is_refused_wherever_it_is() -> None:
    text = (
        '{"picks": [{"participant": "a", "offer_id": "b", "option": "c", "power_w": 1, "power_w": 2}], "reason": "x"}'
    )
    with pytest.raises(NotTheShape) as refused:
        read(AwardBody, text.encode())
    assert [(f.pointer, f.code) for f in refused.value.faults] == [("/picks/0/power_w", "DUPLICATE_KEY")]


def test_a_pointer_escapes_what_would_break_it() -> None:
    assert faults(BODY | {"a/b~c": 1}) == {"/a~1b~0c": "UNKNOWN_FIELD"}


@pytest.mark.parametrize("text", [b"", b"{", b"[1,]", b"{'a': 1}", b"\xff\xfe", b"[" * 40_000, b"nul"])
def test_what_is_no_json_is_told_apart(text: bytes) -> None:
    with pytest.raises(NotJson):
        read(ExtendBody, text)


@pytest.mark.parametrize("text", [b"null", b"5", b'"x"', b"[]", b'{"ends_at": null}', b"1" * 60_000, b"-0.0e9"])
def test_json_of_another_shape_is_refused(text: bytes) -> None:
    with pytest.raises(NotTheShape):
        read(ExtendBody, text)


@pytest.mark.parametrize("depth", [33, 500, 990, 1000, 1200, 3000, 10_000])
def test_a_body_of_many_levels_is_no_json_of_ours_on_any_interpreter(depth: int) -> None:
    for text in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
        with pytest.raises(NotJson):
            read(ExtendBody, text)


def levels(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(levels, inner), default=0)


def wrapped(value: Any, kinds: list[bool]) -> Any:
    for is_list in kinds:
        value = [1, value] if is_list else {"a": value, "b": [2]}
    return value


@given(st.lists(st.booleans(), min_size=MAX_DEPTH - 4, max_size=MAX_DEPTH + 2), st.sampled_from([1, [], {}, [1, {}]]))
def test_the_levels_of_a_body_are_counted_and_nothing_else(kinds: list[bool], inmost: Any) -> None:
    value = wrapped(inmost, kinds)
    for body in (value, {"x": [0] * 99, "y": value}):
        if levels(body) > MAX_DEPTH:
            with pytest.raises(NotJson, match="levels"):
                faults_of(json.dumps(body).encode())
        else:
            assert faults_of(json.dumps(body).encode()) == []


def test_a_thousand_mistakes_are_not_all_told() -> None:
    with pytest.raises(NotTheShape) as refused:
        read(RequestBody, json.dumps(BODY | {f"field{n}": n for n in range(1000)}).encode())
    assert len(refused.value.faults) == MAX_FAULTS


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
FLAT = LEAF | st.lists(LEAF, max_size=3) | st.dictionaries(st.sampled_from([*BODY, "x"]), LEAF, max_size=5)
JSON = LEAF | st.lists(FLAT, max_size=3) | st.dictionaries(st.sampled_from([*BODY, "x"]), FLAT, max_size=5)


@given(JSON)
def test_any_other_json_is_refused_with_pointers(value: Any) -> None:
    assert all(pointer == "" or pointer.startswith("/") for pointer in faults(json.dumps(value)))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    with pytest.raises((NotJson, NotTheShape)):
        read(RequestBody, text)


@given(st.lists(st.sampled_from("abcd"), max_size=8))
def test_exactly_the_keys_that_come_twice_are_named(keys: list[str]) -> None:
    text = "{" + ",".join(f'"{key}": 1' for key in keys) + "}"
    twice = {f"/{key}" for key in keys if keys.count(key) > 1}
    assert {fault.pointer for fault in faults_of(text.encode())} == twice


def test_thousands_of_keys_are_looked_at_once_each() -> None:
    """At a cost for each pair of them this would not end within a test's time."""
    keys = [f'"{number}": 1' for number in range(100_000)]
    (fault,) = faults_of(("{" + ",".join([*keys, keys[7]]) + "}").encode())
    assert (fault.code, fault.pointer) == ("DUPLICATE_KEY", "/7")
