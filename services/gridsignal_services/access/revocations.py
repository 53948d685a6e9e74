"""Tokens that are not good any more before they expire: a TOML file, read again when it changes.

    [[revoked]]
    jti = "5f0c..."                            # this token

    [[revoked]]
    org = "acme-ai"
    sub = "alice"
    issued_before = 2026-11-26T08:00:00Z       # what she had until then

    [[revoked]]
    kid = "key-2025"
    issued_before = 2026-11-26T08:00:00Z       # what was signed with this key until then

An entry means the tokens to which all of it applies. `reason` is for whoever reads the file.
"""

from __future__ import annotations

import tomllib
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError, model_validator

from gridsignal_schemas.values import Shape
from gridsignal_services.access import Principal

Text = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Revoked(Shape):
    """One entry: the tokens to which all that it says applies."""

    jti: Text | None = None
    sub: Text | None = None
    org: Text | None = None
    kid: Text | None = None
    issued_before: AwareDatetime | None = None
    reason: str = ""

    @model_validator(mode="after")
    def _names_something(self) -> Revoked:
        if (self.jti, self.sub, self.org, self.kid) == (None, None, None, None):
            raise ValueError("expected one of jti, sub, org and kid at least")
        return self

    def covers(self, who: Principal) -> bool:
        """Whether it means the token that this principal came with."""
        named = (
            (self.jti, who.token_id),
            (self.sub, who.subject),
            (self.org, who.organisation),
            (self.kid, who.key_id),
        )
        if self.issued_before is not None and who.issued_at >= self.issued_before:
            return False
        return all(wanted in (None, found) for wanted, found in named)


class Revocations:
    """What a file of revocations says. Bounded: by the file, which an administrator writes."""

    def __init__(self, entries: list[Revoked] | None = None) -> None:
        self._by_token: dict[str, list[Revoked]] = {}
        self._others: list[Revoked] = []
        for entry in entries or []:
            same = self._others if entry.jti is None else self._by_token.setdefault(entry.jti, [])
            same.append(entry)

    def cover(self, who: Principal) -> bool:
        """Whether the token that this principal came with is revoked."""
        candidates = (*self._by_token.get(who.token_id, ()), *self._others)
        return any(entry.covers(who) for entry in candidates)

    @classmethod
    def parse(cls, text: str) -> Revocations:
        """Raises ValueError with what was expected, for any mistake: a revocation that means nothing is dangerous."""
        try:
            file = _File.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as broken:
            raise ValueError(f"expected TOML, got: {broken}") from None
        except ValidationError as invalid:
            fault = invalid.errors(include_url=False)[0]
            where = ".".join(map(str, fault["loc"])) or "revoked"
            raise ValueError(f"{where}: {fault['msg'].removeprefix('Value error, ')}") from None
        return cls(file.revoked)


class _File(Shape):
    revoked: list[Revoked] = Field(default_factory=list)
