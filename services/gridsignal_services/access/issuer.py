"""The local issuer: a throw-away ES256 key in the data directory, for one machine. Real authorisation, local keys."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from gridsignal_services.access import Role, secret_file
from gridsignal_services.access.keys import ES256
from gridsignal_services.access.tokens import TokenRules, Verifier

ISSUER = "gridsignal-local"
AUDIENCE = "gridsignal"
_PRIVATE, _PUBLIC = "issuer-key.json", "jwks.json"


class LocalIssuer:
    """Mints tokens with the key in a directory; who can read that directory can be anybody."""

    def __init__(self, key: ECKey) -> None:
        self._key = key

    @classmethod
    def create_or_open(cls, directory: Path) -> LocalIssuer:
        """The issuer of this directory; its key is made at first use, readable by the owner alone.

        Raises PermissionError when others may read the key: it is no secret any more, delete it; OSError for a file
        that holds none.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / _PRIVATE
        if not path.exists():
            secret_file.create(path, _private_key())
        if path.stat().st_mode & 0o077:
            raise PermissionError(f"expected {path.name} to be readable by its owner alone (mode 0600); delete it")
        try:
            issuer = cls(ECKey.import_key(json.loads(path.read_bytes())))
        except (ValueError, TypeError, KeyError, JoseError):
            message = f"{path}: expected the issuer's key, got something else; without the file a new one is made"
            raise OSError(f"{message}, and new tokens are needed") from None
        _replace(directory / _PUBLIC, json.dumps(issuer.jwks, indent=2) + "\n")
        return issuer

    @property
    def jwks(self) -> dict[str, Any]:
        """The public half, as a JWK set."""
        return {"keys": [{**self._key.as_dict(private=False), "use": "sig", "alg": ES256}]}

    def verifier(self, rules: TokenRules | None = None, **beside: Any) -> Verifier:
        """Verifies what this issuer mints; `beside` is as Verifier has it."""
        return Verifier(self.jwks, ISSUER, AUDIENCE, rules, **beside)

    def mint(
        self, role: Role, organisation: str, subject: str, scopes: Iterable[str], ttl_s: int, now: datetime
    ) -> str:
        """A token that lives `ttl_s` seconds from `now` (wall time)."""
        issued_s = int(now.timestamp())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": issued_s,
            "exp": issued_s + ttl_s,
            "jti": uuid.uuid4().hex,
            "role": role,
            "org": organisation,
            "scope": " ".join(sorted(scopes)),
        }
        return jwt.encode({"alg": ES256, "typ": "at+jwt", "kid": self._key.kid}, claims, self._key)


def _private_key() -> bytes:
    key = ECKey.generate_key("P-256", auto_kid=True)
    return json.dumps({**key.as_dict(private=True), "kid": key.kid}).encode()


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text, "utf-8")
    draft.replace(path)
