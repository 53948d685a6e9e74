"""Sealed cursors: a place in one stream as one opaque string, which can be neither read nor forged.

AES-GCM with a nonce derived by a keyed hash from the plaintext and a fresh salt: a place sealed twice is two strings,
so that comparing them tells nobody whether anything was logged in between. The stream is authenticated, not stored.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = 1
_HEADER, _NONCE, _TAG = 3, 12, 16
_EPOCH = 8
_BLOCK = 48
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader of one stream stands."""

    positions: tuple[int, ...]
    """The next offset of every partition."""
    last_partition: int | None = None
    """The partition of the record before this place; None where nothing was read yet."""
    last_appended_us: int = 0
    """That record's append time, by which another epoch is told."""


@dataclass(frozen=True, slots=True)
class Key:
    """One secret; ids grow by one."""

    id: int
    secret: bytes = field(repr=False)
    created_s: int


class CursorRefused(Exception):
    """The cursor opens nothing here; `reason` is what the client is told."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CursorSeal:
    """Seals places with the newest key and opens what any kept key sealed.

    Bounded by the number of keys: one for each rotation within the time that cursors are kept.
    """

    def __init__(self, keys: Sequence[Key], epoch: str, *, salt: Callable[[], bytes], keep_s: int = 90 * DAY_S) -> None:
        """`salt` gives bytes that nobody can foresee, other ones each time."""
        if not keys:
            raise ValueError("expected at least one key, got none")
        self._epoch = hashlib.blake2b(epoch.encode(), digest_size=_EPOCH, person=b"gs-epoch").digest()
        self._salt = salt
        self._keep_s = keep_s
        self._ciphers = {key.id: _Cipher(key) for key in keys}
        self._newest = max(keys, key=lambda key: key.id).id
        self._oldest = min(keys, key=lambda key: key.id).id

    def seal(self, stream: str, place: Place, now_s: int) -> str:
        """About a hundred characters of URL-safe text."""
        plain = self._epoch + now_s.to_bytes(5, "big") + _packed(place)
        plain += bytes(-len(plain) % _BLOCK)  # a length that tells nothing about the counts
        header = bytes((_VERSION,)) + self._newest.to_bytes(2, "big")
        return base64.urlsafe_b64encode(
            header + self._ciphers[self._newest].shut(plain, header, stream, self._salt())
        ).decode()

    def open(self, stream: str, text: str, now_s: int) -> Place:
        """The place sealed in `text`.

        Raises CursorRefused: cursor_expired (older than cursors are kept), cursor_unknown (not one of ours, or of
        another stream), epoch_changed (the log it belongs to is no more).
        """
        header, sealed = _parts(text)
        key_id = int.from_bytes(header[1:], "big")
        if header[0] != _VERSION or key_id not in self._ciphers:
            raise CursorRefused("cursor_expired" if 0 < key_id < self._oldest else "cursor_unknown")
        plain = self._ciphers[key_id].opened(sealed, header, stream)
        minted_s = int.from_bytes(plain[_EPOCH : _EPOCH + 5], "big")
        if minted_s + self._keep_s < now_s:
            raise CursorRefused("cursor_expired")
        if plain[:_EPOCH] != self._epoch:
            raise CursorRefused("epoch_changed")
        return _unpacked(plain[_EPOCH + 5 :])


class _Cipher:
    def __init__(self, key: Key) -> None:
        self._aes = AESGCM(hashlib.blake2b(key.secret, digest_size=32, person=b"gs-cursor-aes").digest())
        self._nonce_key = hashlib.blake2b(key.secret, digest_size=32, person=b"gs-cursor-nonce").digest()

    def shut(self, plain: bytes, header: bytes, stream: str, salt: bytes) -> bytes:
        bound = header + stream.encode()
        nonce = hashlib.blake2b(bound + b"\0" + salt + plain, key=self._nonce_key, digest_size=_NONCE).digest()
        return nonce + self._aes.encrypt(nonce, plain, bound)

    def opened(self, sealed: bytes, header: bytes, stream: str) -> bytes:
        try:
            return self._aes.decrypt(sealed[:_NONCE], sealed[_NONCE:], header + stream.encode())
        except InvalidTag:
            raise CursorRefused("cursor_unknown") from None


def _parts(text: str) -> tuple[bytes, bytes]:
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError):
        raise CursorRefused("cursor_unknown") from None
    if len(raw) < _HEADER + _NONCE + _TAG + _EPOCH + 5:
        raise CursorRefused("cursor_unknown")
    return raw[:_HEADER], raw[_HEADER:]


def _packed(place: Place) -> bytes:
    marker = 0 if place.last_partition is None else place.last_partition + 1
    out = bytearray()
    for number in (marker, place.last_appended_us, len(place.positions), *place.positions):
        while number > 0x7F:
            out.append(number & 0x7F | 0x80)
            number >>= 7
        out.append(number)
    return bytes(out)


def _unpacked(raw: bytes) -> Place:
    numbers: list[int] = []
    value = shift = 0
    for byte in raw:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            numbers.append(value)
            value = shift = 0
    marker, appended_us, count = numbers[:3]
    return Place(tuple(numbers[3 : 3 + count]), marker - 1 if marker else None, appended_us)


def advanced(place: Place, partition: int, offset: int, appended_us: int) -> Place:
    """The place after one more record."""
    positions = list(place.positions)
    positions[partition] = offset + 1
    return Place(tuple(positions), partition, appended_us)


def place_of(positions: Mapping[int, int]) -> Place:
    """A place of which only the positions are known."""
    return Place(tuple(positions[partition] for partition in range(len(positions))))
