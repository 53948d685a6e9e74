"""The key of the benchmarks' participant: one that everybody knows."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from gridsignal.signing import public_key
from gridsignal_schemas.messages import FlexOffer
from gridsignal_schemas.signatures import LONGEST_LIFE_S, SigningKey, sign
from gridsignal_services.registry import Registry, example_registry_text

_DEPLOYMENT, _KEY_ID = "benchmarks.example", "bench"


def key() -> SigningKey:
    """The private half."""
    known = bytes(range(32))
    named = {"x": Ed25519PrivateKey.from_private_bytes(known).public_key().public_bytes_raw(), "d": known}
    jwk = {name: urlsafe_b64encode(raw).rstrip(b"=").decode() for name, raw in named.items()}
    return SigningKey(_KEY_ID, OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", **jwk}), _DEPLOYMENT)


def registry() -> Registry:
    """The example, whose acme-ai may sign."""
    table = f'[participants.acme-ai.keys.{_KEY_ID}]\npublic_key = "{public_key(key())}"\n'
    return Registry.parse(f'signed_for = "{_DEPLOYMENT}"\n{example_registry_text()}\n{table}')


def signature(offer: FlexOffer, by: SigningKey) -> str:
    """Made now, for as long as signatures last."""
    now_s = int(datetime.now(UTC).timestamp())
    return sign(offer, by, now_s=now_s, life_s=LONGEST_LIFE_S, name=secrets.token_urlsafe(8))
