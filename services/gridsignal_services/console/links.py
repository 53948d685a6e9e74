"""One-time links: a code that is exchanged once, soon, for a token that was made for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

LIFE_S = 900.0
"""A code that nobody took by then opens nothing."""
_MOST = 64


@dataclass(slots=True)
class Links:
    """The codes that were given out and not taken.

    Bounded: `_MOST`. When full: the oldest is forgotten. Conflates: nothing.
    """

    now_s: Callable[[], float]
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict)

    def give(self, token: str) -> str:
        """A code for the token, of 256 random bits."""
        code = secrets.token_urlsafe(32)
        self._tokens[code] = (self.now_s() + LIFE_S, token)
        if len(self._tokens) > _MOST:
            del self._tokens[next(iter(self._tokens))]
        return code

    def take(self, code: str) -> str | None:
        """The token, the first time and in time; else None."""
        until_s, token = self._tokens.pop(code, (0.0, ""))
        return token if token and self.now_s() < until_s else None
