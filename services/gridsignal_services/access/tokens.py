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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from joserfc import jws

from gridsignal_services.access import SCOPES, Principal, Role
from gridsignal_services.access.keys import TrustedKey, TrustedKeys
from gridsignal_services.access.revocations import Revocations

MAX_TOKEN = 8 * 1024
"""Characters a token may have: cost before authentication is bounded."""
REASONS = frozenset(
    {
        *(
            "audience",
            "client",
            "duplicate",
            "early",
            "encoding",
            "expired",
            "header",
            "identity",
            "issuer",
            "json",
            "key",
        ),
        *("life", "malformed", "revoked", "scope", "segments", "signature", "size", "subject", "time", "token"),
    }
)
"""Every `why` there is."""

ROLE_CLAIM, SCOPE_CLAIM = "role", "scope"
_HEADER_KEYS = frozenset({"alg", "typ", "kid", "x5t", "x5t#S256"})
"""Entra adds a thumbprint of a certificate; nothing is looked up by it."""
_ROLES: Mapping[Any, Role] = {role: role for role in get_args(Role)}
_TYPES = frozenset({"JWT", "at+jwt", "application/at+jwt"})
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LATEST_S = 253_402_300_799  # the end of the year 9999


class Unauthorized(Exception):
    """Not let in. The message is always the same: it tells an attacker nothing."""

    def __init__(self, why: str = "token", *, expired_at: datetime | None = None) -> None:
        super().__init__("unauthorized")
        self.why = why
        self.expired_at = expired_at
        """When a token expired that was good before: its holder may be told, for it stands in the token."""

    @property
    def detail(self) -> str:
        """What its holder is told."""
        if self.expired_at is None:
            return "expected a valid bearer token"
        return f"The token expired at {self.expired_at:%Y-%m-%dT%H:%M:%SZ}."


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What an installation decides about its tokens."""

    max_life_s: int = 31 * 86_400
    """From `iat` to `exp`; a token for longer is refused."""
    leeway_s: int = 60
    """How far an issuer's clock may be ahead of ours; an expired token has no grace."""
    role_claim: str = ROLE_CLAIM
    organisation_claim: str = "org"
    scope_claim: str = SCOPE_CLAIM
    clients: frozenset[str] = frozenset()
    """Whose tokens are taken, by `azp` (OpenID Connect) or else `client_id` (RFC 9068); empty: any client's."""


class Verifier:
    """Turns a token into the principal it names, for one issuer and one audience.

    `jwks` is a JWK set (RFC 7517). Raises ValueError at construction where none of its keys can be used.
    """

    def __init__(
        self,
        jwks: Mapping[str, Any] | TrustedKeys,
        issuer: str,
        audience: str,
        rules: TokenRules | None = None,
        *,
        revocations: Revocations | None = None,
        refused: Callable[[str], None] = lambda why: None,
    ) -> None:
        """`refused` is told the word for each token that lets nobody in."""
        self._keys = jwks if isinstance(jwks, TrustedKeys) else TrustedKeys.of(jwks)
        self._issuer, self._audience = issuer, audience
        self._rules, self._revocations, self._refused = rules or TokenRules(), revocations or Revocations(), refused

    def trust(self, keys: TrustedKeys) -> None:
        """Other keys from now on."""
        self._keys = keys

    def revoke(self, revocations: Revocations) -> None:
        """Other revocations from now on."""
        self._revocations = revocations

    def still_good(self, who: Principal) -> bool:
        """Whether the token that somebody came in with would let them in now, but for its time."""
        return who.key_id in self._keys.by_id and not self._revocations.cover(who)

    def verify(self, token: str, now: datetime) -> Principal:
        """The principal; `now` is wall time. Raises Unauthorized, whatever is wrong."""
        try:
            return self._verified(token, now)
        except Unauthorized as refusal:
            self._refused(refusal.why)
            raise
        except Exception:  # whatever else goes wrong lets nobody in, and nobody learns what it was
            self._refused("malformed")
            raise Unauthorized("malformed") from None

    def _verified(self, token: str, now: datetime) -> Principal:
        if not isinstance(token, str) or len(token) > MAX_TOKEN:
            raise Unauthorized("size")
        segments = token.split(".")
        if len(segments) != 3:
            raise Unauthorized("segments")
        header, claims = _object(segments[0]), _object(segments[1])
        _decoded(segments[2])
        trusted = self._key(header)
        try:
            jws.deserialize_compact(token, trusted.key, algorithms=[trusted.algorithm], registry=_ANY_HEADER)
        except Exception:  # the library has a dozen ways to say that a signature is not right
            raise Unauthorized("signature") from None
        who = _principal(claims, header["kid"], self._issuer, self._audience, self._rules, now)
        if self._revocations.cover(who):
            raise Unauthorized("revoked")
        return who

    def _key(self, header: Mapping[str, Any]) -> TrustedKey:
        if not _HEADER_KEYS.issuperset(header) or header.get("typ", "JWT") not in _TYPES:
            raise Unauthorized("header")
        kid = header.get("kid")
        trusted = self._keys.by_id.get(kid) if isinstance(kid, str) else None
        if trusted is None:
            raise Unauthorized("key")
        if header.get("alg") != trusted.algorithm:
            raise Unauthorized("header")
        return trusted


_ANY_HEADER = jws.JWSRegistry(strict_check_header=False, algorithms=["ES256", "RS256"])
"""The header is ours to check."""


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


def _principal(
    claims: Mapping[str, Any], key_id: str, issuer: str, audience: str, rules: TokenRules, now: datetime
) -> Principal:
    issued_at, expires_at = _checked_times(claims, rules, now)
    audiences = claims.get("aud")
    if claims.get("iss") != issuer:
        raise Unauthorized("issuer")
    if audiences != audience and audience not in _texts(audiences):
        raise Unauthorized("audience")
    if rules.clients and claims.get("azp", claims.get("client_id")) not in rules.clients:
        raise Unauthorized("client")
    subject, role, organisation = claims.get("sub"), _role(claims, rules), claims.get(rules.organisation_claim)
    if not isinstance(subject, str) or not 1 <= len(subject) <= 128 or not subject.isprintable():
        raise Unauthorized("subject")
    if role is None or not isinstance(organisation, str) or not _IDENTIFIER.fullmatch(organisation):
        raise Unauthorized("identity")
    scopes, token_id = _scopes(claims, rules), claims.get("jti", "")
    if not isinstance(token_id, str) or len(token_id) > 256:
        raise Unauthorized("identity")
    if expires_at <= now:
        raise Unauthorized("expired", expired_at=expires_at)
    return Principal(
        role, organisation, subject, scopes, expires_at, issued_at=issued_at, token_id=token_id, key_id=key_id
    )


def _role(claims: Mapping[str, Any], rules: TokenRules) -> Role | None:
    """The claim's text; under a name of the issuer's own also a list, of which one word is a role of ours."""
    given = claims.get(rules.role_claim)
    if rules.role_claim != ROLE_CLAIM and isinstance(given, list):
        ours = [word for word in _texts(given) if word in _ROLES]
        given = ours[0] if len(ours) == 1 else None
    return _ROLES.get(given) if isinstance(given, str) else None


def _scopes(claims: Mapping[str, Any], rules: TokenRules) -> frozenset[str]:
    """OAuth's text with spaces between; under a name of the issuer's own also a list of texts."""
    given = claims.get(rules.scope_claim, "")
    if rules.scope_claim != SCOPE_CLAIM and isinstance(given, list):
        given = " ".join(_texts(given))
    if not isinstance(given, str):
        raise Unauthorized("scope")
    return SCOPES.intersection(given.split(" "))


def _texts(value: Any) -> list[str]:
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else []


def _checked_times(claims: Mapping[str, Any], rules: TokenRules, now: datetime) -> tuple[datetime, datetime]:
    issued_s, expires_s = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
    not_before_s = _seconds(claims.get("nbf", issued_s))
    if max(issued_s, not_before_s) > now.timestamp() + rules.leeway_s or expires_s <= issued_s:
        raise Unauthorized("early")
    if expires_s - issued_s > rules.max_life_s:
        raise Unauthorized("life")
    return datetime.fromtimestamp(issued_s, UTC), datetime.fromtimestamp(expires_s, UTC)


def _seconds(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LATEST_S:  # a bool is an int elsewhere
        raise Unauthorized("time")
    return value
