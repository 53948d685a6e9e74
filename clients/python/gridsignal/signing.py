"""The key a participant signs with, and how what is sent is signed; needs the extra `signing`.

    gridsignal key new --for tso-north.example --out acme.key.json

    async with gridsignal.connect(url, token=token, site="fra-1", signing_key="acme.key.json") as grid:
        ...                             # offers, answers, baselines, readings and disputes are signed as they are sent

The file is a private JWK (RFC 7517, RFC 8037): `kid` names the key in the registry, `aud` the deployment it signs for.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import TypeAdapter, ValidationError

from gridsignal.clock import wall
from gridsignal.errors import UsageError
from gridsignal_schemas import frames
from gridsignal_schemas.records import RECORD_OF_FRAME
from gridsignal_schemas.rules.writes import Speaker, WriteRefused, record_of
from gridsignal_schemas.signatures import ALGORITHM, SigningKey, sign
from gridsignal_schemas.values import Identifier

__all__ = ["KeySource", "Signer", "make_key", "public_key", "signing_key"]

KeySource = str | os.PathLike[str] | Mapping[str, Any]
"""The file with a private JWK, or the JWK itself, such as one that a vault gave."""
_LIFE_S = 300
"""A signature counts for so long; what is sent again is signed again."""
_ID = TypeAdapter(Identifier)
_log = logging.getLogger("gridsignal")


def make_key(path: Path, *, key_id: str, audience: str) -> SigningKey:
    """Makes a key and its file, which its owner alone can read.

    Raises UsageError for a key_id that no registry takes, OSError, FileExistsError where there is a file.
    """
    _must_be_id(key_id, "key_id")
    private = OKPKey.generate_key("Ed25519")
    named = {"alg": ALGORITHM, "use": "sig", "kid": key_id, "aud": audience}
    text = json.dumps({**named, **private.as_dict(private=True)}, indent=1) + "\n"
    # mode at creation, not after it: there is no moment in which others can read it
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return SigningKey(key_id, private, audience)


def signing_key(source: KeySource) -> SigningKey:
    """The key of a file, or of a JWK. Raises UsageError, which never shows what it holds."""
    if isinstance(source, Mapping):
        return _key_of(source, "signing_key")
    path = Path(source)
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise UsageError(f"expected a key in {path}, got: {error.strerror}") from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        expected = f"expected {path} to be readable by its owner alone (mode 0600)"
        raise UsageError(f"{expected}, got {stat.S_IMODE(mode):04o}")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    return _key_of(found, str(path))


def _key_of(jwk: Any, where: str) -> SigningKey:
    expected = f"{where}: expected a private JWK of kty OKP and crv Ed25519"
    if not isinstance(jwk, Mapping) or (jwk.get("kty"), jwk.get("crv")) != ("OKP", "Ed25519"):
        raise UsageError(f"{expected}, got something else")
    for name in ("kid", "aud"):
        if not isinstance(jwk.get(name), str) or not 0 < len(jwk[name]) <= 128:
            raise UsageError(f"{expected} with a {name}, got none")
    _must_be_id(jwk["kid"], f"{where}: kid")
    try:
        private = OKPKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "d")})
    except (JoseError, ValueError, KeyError, TypeError):
        raise UsageError(f"{expected}, got one that is not whole") from None
    return SigningKey(jwk["kid"], private, jwk["aud"])


def _must_be_id(name: str, where: str) -> None:
    """The registry has it as the name of a table."""
    try:
        _ID.validate_python(name)
    except ValidationError:
        raise UsageError(f"{where}: expected 1 to 64 letters, digits, - and _, got {name!r:.80}") from None


def public_key(key: SigningKey) -> str:
    """The public half as the registry takes it: 32 bytes in hexadecimal."""
    raw: bytes = key.private.public_key.public_bytes_raw()
    return raw.hex()


class Signer:
    """Signs each write as it is sent, so that one that waited in the outbox has a signature that counts."""

    def __init__(self, key: SigningKey, *, now: Callable[[], datetime] = wall) -> None:
        """`now` is wall time: signatures expire by it, in simulations, too."""
        self._key, self._now = key, now
        self._told = False

    def signed(self, frame: frames.Frame, welcome: frames.Welcome, site: str | None) -> frames.Frame:
        """The frame with its signature, where it is a write."""
        if frame.t not in RECORD_OF_FRAME or site is None:
            return frame
        if welcome.participant is None or welcome.zone is None:
            if not self._told:
                _log.warning("this gateway is of a version that takes no signatures: what is sent is not signed")
            self._told = True
            return frame
        write: Any = frame
        try:
            record = record_of(write, Speaker(welcome.participant, site, welcome.zone))
        except WriteRefused:
            return frame  # the gateway says what is wrong with it
        now_s = int(self._now().timestamp())
        made = sign(record, self._key, now_s=now_s, life_s=_LIFE_S, name=secrets.token_urlsafe(16))
        return frame.model_copy(update={"signature": made})
