"""The bearer token: checked before anything is sent, and never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal import UsageError
from gridsignal.tokens import LONGEST, checked

SECRET = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"
AROUND = st.text(alphabet="\ufeff \t\r\n\f\v", max_size=4)
INSIDE = st.characters().filter(lambda c: not "!" <= c <= "~")


@given(before=AROUND, after=AROUND)
def test_what_editors_leave_around_a_token_does_no_harm(before: str, after: str) -> None:
    assert checked(before + SECRET + after) == SECRET


@given(character=INSIDE, at=st.integers(1, len(SECRET) - 1))
def test_what_no_token_has_is_refused_and_not_shown(character: str, at: int) -> None:
    with pytest.raises(UsageError) as refused:
        checked(SECRET[:at] + character + SECRET[at:])
    assert not any(SECRET[start : start + 6] in str(refused.value) for start in range(len(SECRET) - 5))
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("", "empty"),
        (" \n", "empty"),
        (None, "NoneType"),
        (SECRET.encode(), "bytes"),
        (f"Bearer {SECRET}", "word Bearer"),
        (f"{SECRET}\r\nX-Evil: 1", "no token has"),
        ("e" * (LONGEST + 1), str(LONGEST + 1)),
    ],
)
def test_what_is_no_token_is_named_by_its_kind(token: object, told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        checked(token)
    assert SECRET[:8] not in str(refused.value)
