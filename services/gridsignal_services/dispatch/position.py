"""`Gridsignal-Position`: where a write lies, sealed, so that a read elsewhere can wait for it.

AES-SIV (RFC 5297) under a key that all dispatch processes share: nobody can forge one, and no offset (a count of
everyone's records) can be read out of it. Each text is another one, the same place twice included: whoever repeats a
write would else be told whether anybody wrote meanwhile.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

KEY_BYTES = 64
_SALT = 8
_LENGTH = 16 + _SALT + 4 + 8


class PositionSeal:
    """Seals and opens positions of one incarnation of the log. The key has KEY_BYTES bytes."""

    def __init__(self, key: bytes, epoch: str) -> None:
        self._cipher = AESSIV(key)
        self._context = [b"gridsignal-position", epoch.encode()]

    def close(self, partition: int, offset: int) -> str:
        """A text for a position: 48 characters."""
        plain = secrets.token_bytes(_SALT) + partition.to_bytes(4) + offset.to_bytes(8)
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
        place = plain[_SALT:]
        return int.from_bytes(place[:4]), int.from_bytes(place[4:])
