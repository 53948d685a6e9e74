"""Why a token was not taken, where the token itself says so: servers keep their reasons to themselves."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime


def expired(token: str, now: datetime) -> str | None:
    """One line on when a JSON web token expired; None for one that has not, or that is none."""
    try:
        claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
        ended = datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, OSError, RecursionError, binascii.Error):
        return None
    return f"the token expired at {ended:%Y-%m-%d %H:%M:%S} UTC" if ended <= now else None
