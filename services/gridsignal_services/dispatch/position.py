"""`Gridsignal-Position`: where a write lies, sealed, so that a read elsewhere can wait for it.

AES-SIV (RFC 5297) under a key that all dispatch processes share: the same position is the same text for ever, nobody
can forge one, and no offset (a count of everyone's records) can be read out of it.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

KEY_BYTES = 64
_LENGTH = 16 + 4 + 8


class Seal:
    """Seals and opens positions of one incarnation of the log. The key has KEY_BYTES bytes."""

    def __init__(self, key: bytes, epoch: str) -> None:
        self._cipher = AESSIV(key)
        self._context = [b"gridsignal-position", epoch.encode()]

    def close(self, partition: int, offset: int) -> str:
        """The text of a position: 38 characters."""
        plain = partition.to_bytes(4) + offset.to_bytes(8)
        return urlsafe_b64encode(self._cipher.encrypt(plain, self._context)).decode().rstrip("=")

    def open(self, text: str) -> tuple[int, int]:
        """(partition, offset). Raises ValueError for a text that was not sealed here."""
        try:
            sealed = urlsafe_b64decode(text[:64] + "=" * (-len(text) % 4))
            plain = self._cipher.decrypt(sealed, self._context) if len(sealed) == _LENGTH else b""
        except (InvalidTag, NotBase64, UnicodeEncodeError, ValueError):
            plain = b""
        if not plain:
            raise ValueError("expected a position as a write returned it")
        return int.from_bytes(plain[:4]), int.from_bytes(plain[4:])
