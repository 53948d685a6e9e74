"""Bearer tokens, verified offline against an issuer's public keys: joserfc behind a strict door.

The libraries accept what RFC 8725 warns of (duplicate claims, wrong `typ`, odd headers, fractional times), so
everything but the signature is checked here, and exactly. Whatever is wrong, the answer is the same.

    Unauthorized   the token lets nobody in; `why` is a word for metrics and logs, never shown to the caller
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from joserfc import jws
from joserfc.jwk import ECKey

from gridsignal_services.access import SCOPES, Principal, Role

ALGORITHM = "ES256"
MAX_TOKEN = 8 * 1024
"""Characters a token may have: cost before authentication is bounded."""
CLOCK_SKEW_S = 60
"""How far an issuer's clock may be ahead of ours; an expired token has no grace."""

_HEADER_KEYS = frozenset({"alg", "typ", "kid"})
_ROLES: Mapping[Any, Role] = {role: role for role in get_args(Role)}
_TYPES = frozenset({"JWT", "at+jwt"})
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LATEST_S = 253_402_300_799  # the end of the year 9999


class Unauthorized(Exception):
    """Not let in. The message is always the same: it tells an attacker nothing."""

    def __init__(self, why: str = "token") -> None:
        super().__init__("unauthorized")
        self.why = why


class Verifier:
    """Turns a token into the principal it names, for one issuer and one audience.

    `jwks` is a JWK set (RFC 7517); every key in it is a public P-256 key with a `kid` of its own, pinned to ES256.
    Raises ValueError at construction for any other key: a key set is configuration.
    """

    def __init__(self, jwks: Mapping[str, Any], issuer: str, audience: str) -> None:
        self._keys = _keys(jwks)
        self._issuer = issuer
        self._audience = audience

    def verify(self, token: str, now: datetime) -> Principal:
        """The principal; `now` is wall time. Raises Unauthorized, whatever is wrong."""
        try:
            return self._verified(token, now)
        except Unauthorized:
            raise
        except Exception:  # whatever else goes wrong lets nobody in, and nobody learns what it was
            raise Unauthorized("malformed") from None

    def _verified(self, token: str, now: datetime) -> Principal:
        if not isinstance(token, str) or len(token) > MAX_TOKEN:
            raise Unauthorized("size")
        segments = token.split(".")
        if len(segments) != 3:
            raise Unauthorized("segments")
        header, claims = _object(segments[0]), _object(segments[1])
        _decoded(segments[2])
        key = self._key(header)
        try:
            jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
        except Exception:  # the library has a dozen ways to say that a signature is not right
            raise Unauthorized("signature") from None
        return _principal(claims, self._issuer, self._audience, now)

    def _key(self, header: Mapping[str, Any]) -> ECKey:
        if not _HEADER_KEYS.issuperset(header) or header.get("typ") not in _TYPES or header.get("alg") != ALGORITHM:
            raise Unauthorized("header")
        kid = header.get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise Unauthorized("key")
        return key


def _keys(jwks: Mapping[str, Any]) -> dict[str, ECKey]:
    keys: dict[str, ECKey] = {}
    for entry in jwks["keys"]:
        kid = entry.get("kid")
        if not isinstance(kid, str) or kid in keys:
            raise ValueError("jwks: expected a kid of its own for each key, got none or a repeated one")
        if entry.get("kty") != "EC" or entry.get("crv") != "P-256" or entry.get("alg", ALGORITHM) != ALGORITHM:
            raise ValueError(f"jwks: expected P-256 keys for {ALGORITHM}, got another in key {kid!r:.60}")
        if "d" in entry:
            raise ValueError(f"jwks: expected public keys, got a private one in key {kid!r:.60}")
        keys[kid] = ECKey.import_key(dict(entry))
    if not keys:
        raise ValueError("jwks: expected at least one key, got none")
    return keys


def _decoded(segment: str) -> bytes:
    if not _SEGMENT.fullmatch(segment):
        raise Unauthorized("encoding")
    try:
        return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        raise Unauthorized("encoding") from None


def _object(segment: str) -> dict[str, Any]:
    value = json.loads(_decoded(segment).decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    if not isinstance(value, dict):
        raise Unauthorized("json")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Unauthorized("duplicate")
    return value


def _no_constant(_: str) -> Any:
    raise Unauthorized("json")


def _principal(claims: Mapping[str, Any], issuer: str, audience: str, now: datetime) -> Principal:
    expires_at = _checked_times(claims, now)
    audiences = claims.get("aud")
    if claims.get("iss") != issuer:
        raise Unauthorized("issuer")
    if audiences != audience and audience not in _texts(audiences):
        raise Unauthorized("audience")
    subject, role, organisation = claims.get("sub"), claims.get("role"), claims.get("org")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 128 or not subject.isprintable():
        raise Unauthorized("subject")
    if (
        not isinstance(role, str)
        or role not in _ROLES
        or not isinstance(organisation, str)
        or not _IDENTIFIER.fullmatch(organisation)
    ):
        raise Unauthorized("identity")
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise Unauthorized("scope")
    return Principal(_ROLES[role], organisation, subject, SCOPES.intersection(scope.split(" ")), expires_at)


def _texts(value: Any) -> list[str]:
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else []


def _checked_times(claims: Mapping[str, Any], now: datetime) -> datetime:
    issued_s, expires_s = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
    not_before_s = _seconds(claims.get("nbf", issued_s))
    now_s = now.timestamp()
    if expires_s <= now_s:
        raise Unauthorized("expired")
    if max(issued_s, not_before_s) > now_s + CLOCK_SKEW_S or expires_s <= issued_s:
        raise Unauthorized("early")
    return datetime.fromtimestamp(expires_s, UTC)


def _seconds(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LATEST_S:  # a bool is an int elsewhere
        raise Unauthorized("time")
    return value
