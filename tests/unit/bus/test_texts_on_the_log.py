"""Texts on the log are such as may be shown: who writes past our doors puts nothing else there."""

from __future__ import annotations

import pytest

from gridsignal_services.bus.codec import Codec, Poison
from tests.builders import an_offer_withdrawal

CODEC = Codec.from_lock()


@pytest.mark.parametrize("letter", ["\x00", "\x1b", "\u202e"])
def test_a_letter_that_commands_a_terminal_is_poison_on_the_log_too(letter: str) -> None:
    plain = "~" * len(letter.encode())
    value = CODEC.encode(an_offer_withdrawal(reason=plain))
    with pytest.raises(Poison, match="control characters"):
        CODEC.decode(value.replace(plain.encode(), letter.encode()))
