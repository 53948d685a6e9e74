"""The issuer's public keys, out of a JWK set (RFC 7517): each is pinned to one algorithm.

Sets of Entra, Okta, Keycloak and Auth0 hold keys for other purposes, too: what can't be used is left out, and named.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import ECKey, RSAKey

ES256, RS256 = "ES256", "RS256"
LEAST_RSA_BITS, MOST_RSA_BITS = 2048, 8192
MAX_KEYS = 100


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """One key, and the algorithm that it is good for."""

    algorithm: str
    key: ECKey | RSAKey


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The keys of a set that can be used, by `kid`."""

    by_id: Mapping[str, TrustedKey]
    unusable: tuple[str, ...] = ()
    """A line for each key that can't be used."""

    @classmethod
    def parse(cls, text: str | bytes) -> TrustedKeys:
        """The keys of a JWK set's JSON. Raises ValueError."""
        try:
            return cls.of(json.loads(text))
        except RecursionError:
            raise ValueError("jwks: expected a JWK set, got a document too deep to be one") from None

    @classmethod
    def of(cls, jwks: Mapping[str, Any]) -> TrustedKeys:
        """The keys of a JWK set. Raises ValueError where none can be used."""
        entries = jwks.get("keys") if isinstance(jwks, Mapping) else None
        if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_KEYS:
            raise ValueError(f"jwks: expected a JWK set of 1 to {MAX_KEYS} keys")
        ids = Counter(entry.get("kid") for entry in entries if _has_an_id(entry))
        keys: dict[str, TrustedKey] = {}
        unusable: list[str] = []
        for number, entry in enumerate(entries, 1):
            try:
                if not _has_an_id(entry) or ids[entry["kid"]] > 1:
                    raise ValueError("a kid of its own")
                keys[entry["kid"]] = _trusted(entry)
            except ValueError as lacks:
                unusable.append(f"jwks: expected {lacks} for key {number} of {len(entries)}")
        if not keys:
            raise ValueError("; ".join(unusable[:3]))
        return cls(keys, tuple(unusable))


def _has_an_id(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("kid"), str) and bool(entry["kid"])


def _trusted(entry: dict[str, Any]) -> TrustedKey:
    """The key of an entry. Raises ValueError with what was expected."""
    kinds: dict[tuple[Any, Any], str] = {("EC", "P-256"): ES256, ("RSA", None): RS256}
    algorithm = kinds.get((entry.get("kty"), entry.get("crv")))
    if algorithm is None or entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig":
        raise ValueError(f"P-256 for {ES256} or RSA for {RS256}, to verify signatures with,")
    if not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}.isdisjoint(entry):
        raise ValueError("a public key, got a private one,")
    try:
        if algorithm == RS256:
            return TrustedKey(algorithm, _rsa(entry))
        return TrustedKey(algorithm, ECKey.import_key(dict(entry)))
    except Exception:  # the libraries have a dozen ways to say that a key is none, and some repeat it
        raise ValueError(f"a well-formed key ({LEAST_RSA_BITS} bits or more for RSA)") from None


def _rsa(entry: dict[str, Any]) -> RSAKey:
    if not LEAST_RSA_BITS // 6 <= len(entry["n"]) <= MOST_RSA_BITS // 5:  # before the library works on it
        raise ValueError("size")
    key = RSAKey.import_key(dict(entry))
    numbers = key.public_key.public_numbers()
    if not LEAST_RSA_BITS <= numbers.n.bit_length() <= MOST_RSA_BITS or not 3 <= numbers.e < 2**32:
        raise ValueError("size")
    return key
