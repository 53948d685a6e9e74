"""Secrets leave no trace: some feeds want their key in the query string, and HTTP libraries print URLs."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "***"


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret, plain or URL-encoded, replaced."""
    spellings = {s for secret in secrets for s in (secret, quote(secret, safe=""), quote_plus(secret)) if len(s) >= 4}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, HIDDEN)
    return text


def scrubbed_bytes(body: bytes, secrets: Iterable[str]) -> bytes:
    """The same for a recorded body."""
    for secret in secrets:
        for spelling in (secret, quote(secret, safe=""), quote_plus(secret)):
            if len(spelling) >= 4:
                body = body.replace(spelling.encode(), HIDDEN.encode())
    return body
