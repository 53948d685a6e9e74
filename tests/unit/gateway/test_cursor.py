"""Cursors: opaque, sealed, of one stream and one log, for as long as they are kept."""

from __future__ import annotations

import itertools
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.gateway import cursor
from gridsignal_services.gateway.cursor import DAY_S, CursorRefused, Key, Place, advanced
from gridsignal_services.gateway.keyfile import rotated

NOW_S = 1_800_000_000
FIRST = Key(1, b"a" * 32, NOW_S)
SECOND = Key(2, b"b" * 32, NOW_S)
PLACE = Place((5, 0, 123_456, 0, 7, 1), 2, NOW_S * 1_000_000)
places = st.builds(
    Place,
    st.lists(st.integers(0, 2**62), min_size=1, max_size=24).map(tuple),
    st.none() | st.integers(0, 23),
    st.integers(0, 2**60),
)


def a_seal(keys: list[Key], epoch: str) -> cursor.CursorSeal:
    salts = itertools.count()
    return cursor.CursorSeal(keys, epoch, salt=lambda: next(salts).to_bytes(8, "big"))


def refusal(seal: cursor.CursorSeal, text: str, *, stream: str = "prices", now_s: int = NOW_S) -> str:
    with pytest.raises(CursorRefused) as refused:
        seal.open(stream, text, now_s)
    return refused.value.reason


@given(places)
def test_what_was_sealed_is_what_is_opened(place: Place) -> None:
    seal = a_seal([FIRST], "epoch")
    assert seal.open("prices", seal.seal("prices", place, NOW_S), NOW_S) == place


def test_a_cursor_is_about_a_hundred_url_safe_characters() -> None:
    text = a_seal([FIRST], "epoch").seal("prices", PLACE, NOW_S)
    assert 80 <= len(text) <= 120
    assert set(text) <= set(string.ascii_letters + string.digits + "-_=")


def test_the_length_tells_nothing_about_ordinary_counts() -> None:
    seal = a_seal([FIRST], "epoch")
    small, large = Place((1,) * 6, 0, NOW_S * 10**6), Place((100,) * 6, 0, NOW_S * 10**6)
    assert len(seal.seal("prices", small, NOW_S)) == len(seal.seal("prices", large, NOW_S))


@given(places, places)
def test_two_cursors_differ_whether_or_not_the_places_do(one: Place, other: Place) -> None:
    seal = a_seal([FIRST], "epoch")
    cursors = [seal.seal("dispatch", place, NOW_S) for place in (one, one, other)]
    assert len(set(cursors)) == 3


@given(st.lists(st.integers(0, 2**27), min_size=6, max_size=6))
def test_the_length_tells_nothing_about_how_much_was_logged(positions: list[int]) -> None:
    seal = a_seal([FIRST], "epoch")
    empty = seal.seal("dispatch", Place((0,) * 6, 0, NOW_S * 10**6), NOW_S)
    assert len(seal.seal("dispatch", Place(tuple(positions), 5, NOW_S * 10**6), NOW_S)) == len(empty)


def test_a_cursor_of_an_earlier_version_is_still_opened() -> None:
    sealed_by_0_1_0 = "AQABSTWJTP18DM9RgqQq5wz0lkMQGdb5CERk8K5JLRsV7bfF079rFx596Oo6wUq4L5F-ERLD92HhQC3qbvkx"
    assert a_seal([FIRST], "epoch").open("prices", sealed_by_0_1_0, NOW_S) == PLACE


@given(st.data())
def test_a_changed_cursor_is_unknown(data: st.DataObject) -> None:
    seal = a_seal([FIRST], "epoch")
    text = seal.seal("prices", PLACE, NOW_S)
    at = data.draw(st.integers(8, len(text.rstrip("=")) - 2))
    other = data.draw(st.sampled_from([c for c in string.ascii_letters if c != text[at]]))
    assert refusal(seal, text[:at] + other + text[at + 1 :]) == "cursor_unknown"


@given(st.text(max_size=200))
def test_any_other_text_is_unknown_and_never_an_error(text: str) -> None:
    assert refusal(a_seal([FIRST], "epoch"), text) == "cursor_unknown"


def test_a_cursor_belongs_to_its_stream_and_its_log() -> None:
    seal = a_seal([FIRST], "epoch")
    text = seal.seal("prices", PLACE, NOW_S)
    assert refusal(seal, text, stream="carbon") == "cursor_unknown"
    assert refusal(a_seal([FIRST], "another"), text) == "epoch_changed"


def test_retired_keys_open_cursors_until_they_are_forgotten() -> None:
    text = a_seal([FIRST], "epoch").seal("prices", PLACE, NOW_S)
    assert a_seal([FIRST, SECOND], "epoch").open("prices", text, NOW_S) == PLACE
    assert refusal(a_seal([SECOND], "epoch"), text) == "cursor_expired"
    assert refusal(a_seal([Key(1, b"z" * 32, NOW_S)], "epoch"), text) == "cursor_unknown"


def test_a_cursor_expires_after_ninety_days() -> None:
    seal = a_seal([FIRST], "epoch")
    text = seal.seal("prices", PLACE, NOW_S)
    assert seal.open("prices", text, NOW_S + 90 * DAY_S) == PLACE
    assert refusal(seal, text, now_s=NOW_S + 90 * DAY_S + 1) == "cursor_expired"


def test_a_place_moves_in_one_partition() -> None:
    moved = advanced(Place((5, 7)), 1, 9, 42)
    assert moved == Place((5, 10), 1, 42)


def test_keys_rotate_and_are_kept_until_no_cursor_needs_them() -> None:
    def after(keys: list[Key], days: int) -> list[int]:
        return [key.id for key in rotated(keys, NOW_S + days * DAY_S, b"n" * 32, rotate_days=30, keep_days=90)]

    assert after([], 0) == [1]
    assert after([FIRST], 29) == [1]
    assert after([FIRST], 30) == [1, 2]
    month = [Key(number, b"k" * 32, NOW_S + 30 * DAY_S * (number - 1)) for number in (1, 2, 3, 4, 5)]
    assert after(month, 120) == [1, 2, 3, 4, 5]
    assert after(month, 121) == [2, 3, 4, 5]
