"""What a token says about itself, unverified: for people; whether it is good, the server decides."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from typing import Any

_LONGEST = 200


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a JSON web token; none where it is no such token."""
    try:
        claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    except (IndexError, ValueError, RecursionError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}


def expired(token: str, now: datetime, what: str = "the token") -> str | None:
    """One line on when a token expired; None for one that has not, or that is no dated token."""
    try:
        ended = datetime.fromtimestamp(int(claims_of(token)["exp"]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    return f"{what} expired at {ended:%Y-%m-%dT%H:%M:%SZ}" if ended <= now else None


def whose(token: str) -> str | None:
    """For whom a token is, by its own words; None where it does not say."""
    claims = claims_of(token)
    role, organisation = claims.get("role"), claims.get("org")
    if not isinstance(organisation, str) or not isinstance(role, str):
        return None
    name = f"the {role} {organisation}"
    return name if name.isprintable() and len(name) <= _LONGEST else None
