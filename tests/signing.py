"""A participant's key and signatures for tests, made without the SDK where that says more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from joserfc.jwk import OKPKey

from gridsignal.signing import public_key
from gridsignal_schemas.signatures import Signing, SigningKey, VerifyingKey, sign
from gridsignal_schemas.values import Record

DEPLOYMENT = "tso-north.example"
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
LIFE_S = 300


def a_key(key_id: str = "acme-1", audience: str = DEPLOYMENT) -> SigningKey:
    return SigningKey(key_id, OKPKey.generate_key("Ed25519"), audience)


ACME, RIVAL = a_key(), a_key("rival-1")
"""Of two participants."""


def signing(key: SigningKey = ACME, *, is_required: bool = False, **when: Any) -> Signing:
    """What the registry says of a participant with this one key."""
    return Signing(key.audience, {key.key_id: VerifyingKey(public_key(key), **when)}, is_required=is_required)


def signed(
    record: Record,
    key: SigningKey = ACME,
    *,
    now_s: int = NOW_S,
    life_s: int = LIFE_S,
    name: str = "a-name",
    **other: Any,
) -> str:
    """A signature of the record; `other` replaces fields of the key."""
    return sign(record, replace(key, **other), now_s=now_s, life_s=life_s, name=name)
