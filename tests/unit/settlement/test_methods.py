"""The table of baseline methods: each row is pinned by its hash, and what is said in its place is named."""

from __future__ import annotations

import pytest

from gridsignal_schemas.canonical import sha256_of
from gridsignal_services.settlement.methods import METHODS, WrongParameter, _rows, changed

PINNED = {
    "declared": (1, "b42d7837"),
    "caiso-10-of-10": (1, "f0ac1e87"),
    "high-5-of-10": (1, "20354acc"),
    "high-4-of-5": (1, "da98c7b4"),
    "pjm-3-plus-2": (1, "328bb104"),
    "uk-bl01": (1, "0d31fa6f"),
}
"""What was published: another hash needs another version."""


def test_a_published_row_stays_as_it_is() -> None:
    assert {name: (method.version, method.sha256[:8]) for name, method in METHODS.items()} == PINNED


def test_a_row_whose_hash_is_not_its_parameters_is_refused() -> None:
    row = '[x]\nversion = 1\nsource = "us"\nsha256 = "00"\n[x.parameters]\nkind = "DECLARED"\n'
    with pytest.raises(ValueError, match=f"x: expected sha256 {sha256_of({'kind': 'DECLARED'})}.*got 00"):
        _rows(row)


def test_a_method_with_another_parameter_has_another_hash() -> None:
    method = METHODS["caiso-10-of-10"]
    other = changed(method, {"clip": "0.3"})
    assert other.changed == ("clip",)
    assert other.sha256 != method.sha256
    assert changed(other, {"clip": "0.2"}).sha256 == method.sha256
    assert changed(method, {}) is method


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("caiso-10-of-10", {"clips": "0.3"}, r"clips: expected one of x, y, .* of caiso-10-of-10, got 'clips'"),
        ("caiso-10-of-10", {"kind": "DECLARED"}, r"kind: expected one of x"),
        ("caiso-10-of-10", {"clip": "much"}, r"clip: expected a share such as 0.25, got 'much'"),
        ("caiso-10-of-10", {"pick": "LOW"}, r"pick: expected 'HIGH', 'MID' or 'LATEST', got 'LOW'"),
        ("caiso-10-of-10", {"x": "ten"}, r"x: expected a valid integer, got 'ten'"),
        ("caiso-10-of-10", {"x": 11}, r"expected x of at most y, got 11 of 10"),
        ("caiso-10-of-10", {"least": 11}, r"expected least of at most y, got 11 of 10"),
        ("caiso-10-of-10", {"window_min": [-60, -240]}, r"expected window_min within the day .*, got \[-60, -240\]"),
        ("high-5-of-10", {"adjust": "SCALAR"}, r"expected window_min beside adjust SCALAR, got none"),
        ("pjm-3-plus-2", {"before_h": 0, "after_h": 0}, r"expected before_h or after_h above 0, got 0 for both"),
        ("declared", {"x": 1}, r"x: expected no parameter of declared, got 'x'"),
    ],
)
def test_a_parameter_that_the_method_has_not_is_named(name: str, values: dict[str, object], said: str) -> None:
    with pytest.raises(WrongParameter, match=said):
        changed(METHODS[name], values)


@pytest.mark.parametrize(
    ("parameters", "working", "non_working"),
    [
        ({}, (10, 10, 5), (4, 4, 4)),
        ({"least": 7}, (10, 10, 7), (4, 4, 4)),
        ({"day_types": "ALL"}, (10, 10, 5), (10, 10, 5)),
    ],
)
def test_weekends_have_numbers_of_their_own(
    parameters: dict[str, object], working: tuple[int, ...], non_working: tuple[int, ...]
) -> None:
    rule = changed(METHODS["caiso-10-of-10"], parameters).parameters
    assert rule.counts(is_working=True) == working
    assert rule.counts(is_working=False) == non_working
