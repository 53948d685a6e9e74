"""A position is sealed: it opens to what it was made from, tells nobody anything, and is forged by nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.dispatch.position import KEY_BYTES, PositionSeal

KEY = bytes(range(KEY_BYTES))
SEAL = PositionSeal(KEY, "epoch-1")


@given(st.integers(0, 2**31), st.integers(0, 2**62))
def test_a_position_opens_to_what_was_sealed(partition: int, offset: int) -> None:
    text = SEAL.close(partition, offset)
    assert SEAL.open(text) == (partition, offset)
    assert SEAL.close(partition, offset) != text  # two equal texts would say that nobody wrote between them
    assert len(text) == 48


def test_an_offset_cannot_be_read_out_of_it() -> None:
    texts = [SEAL.close(0, offset) for offset in range(100)]
    assert len({text[:8] for text in texts}) == 100


@given(st.text(max_size=80))
def test_any_other_text_opens_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="expected a position"):
        SEAL.open(text)


@pytest.mark.parametrize("seal", [PositionSeal(KEY, "epoch-2"), PositionSeal(bytes(KEY_BYTES), "epoch-1")])
def test_another_log_or_key_opens_nothing(seal: PositionSeal) -> None:
    with pytest.raises(ValueError, match="expected a position"):
        seal.open(SEAL.close(1, 2))
