"""`gridsignal token revoke`: puts a token into the file of revocations that the doors watch."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gridsignal_services.access.revocations import Revocations
from gridsignal_services.access.tokens import TokenRules
from gridsignal_services.settings import ConfigError


def revoke(file: Path, token: str, reason: str, organisation_claim: str, now: datetime) -> str:
    """Appends the entry that means this token; returns it. Raises ConfigError and OSError.

    The token need not be good, nor of the local issuer: what matters is what the doors would read in it.
    """
    claims = _claims(token)
    lines = []
    if claims.get("jti", "") != "":
        named = {"jti": claims["jti"]}
    else:  # what this person or program of the organisation has until now: others may have one of the same name
        named = {"org": claims.get(organisation_claim), "sub": claims.get("sub")}
        over = _last_of(claims, now) + timedelta(seconds=1)  # tokens say whole seconds: this one is meant, too
        lines = [f"issued_before = {over:%Y-%m-%dT%H:%M:%SZ}"]
    if not all(isinstance(value, str) and value for value in named.values()):
        raise ConfigError(f"expected a token with jti, or with sub and {organisation_claim}, on stdin, got one without")
    lines = [*(f"{name} = {_text(value)}" for name, value in named.items()), *lines]
    entry = "\n".join(["[[revoked]]", *lines, *([f"reason = {_text(reason)}"] if reason else [])]) + "\n"
    before = file.read_text("utf-8") if file.exists() else ""
    after = f"{before.rstrip()}\n\n{entry}".lstrip()
    for text, whose in ((before, str(file)), (after, "the new entry")):
        try:
            Revocations.parse(text)
        except ValueError as wrong:
            raise ConfigError(f"{whose}: {wrong}") from None
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.write_text(after, "utf-8")
    draft.replace(file)
    return entry


def _last_of(claims: dict[str, Any], now: datetime) -> datetime:
    """Now, or when the token says it was issued: an issuer's clock may be ahead by as much as the doors let pass."""
    issued_s = claims.get("iat")
    ahead_s = issued_s - int(now.timestamp()) if isinstance(issued_s, int) else 0
    return now.astimezone(UTC) + timedelta(seconds=min(max(ahead_s, 0), TokenRules().leeway_s))


def _claims(token: str) -> dict[str, Any]:
    try:
        _, middle, _ = token.split(".")
        claims = json.loads(urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise ConfigError("expected a token on stdin, got something else")
    return claims


def _text(value: object) -> str:
    return json.dumps(value)  # a JSON string is a TOML string
