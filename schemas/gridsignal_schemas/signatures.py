"""What a participant signs, and whether somebody else's signature is good: a detached JWS over a record's Avro bytes.

Needs joserfc and fastavro (the extra `signing`). Both ends of the wire use it, and who checks a log afterwards.
docs/signatures.md says the same without Python.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

from gridsignal_schemas.avro_bytes import newest, payload_of
from gridsignal_schemas.frames import MAX_SIGNATURE, Detail
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.values import Record, rfc3339

ALGORITHM = "Ed25519"
"""RFC 9864; its older name, EdDSA, says no curve and is deprecated."""
LONGEST_LIFE_S = 600
"""From `iat` to `exp`."""
LEEWAY_S = 60
"""How far clocks may be apart: the signer's ahead of the door's, the door's behind the log's."""
_POINTER = "/signature"
_TEXTS, _TIMES = ("alg", "kid", "aud", "jti", "schema"), ("iat", "exp")
_REGISTRY = JWSRegistry(
    {name: HeaderParameter(name, "str") for name in ("aud", "jti", "schema")}
    | {name: HeaderParameter(name, "int") for name in _TIMES},
    algorithms=[ALGORITHM],
)
_LONGEST_TEXT = 128


class BadSignature(Exception):
    """A signature that does not count, or none where one is owed; carries what is wrong."""

    def __init__(self, what: Detail, *, retry_after_ms: int = 0) -> None:
        """`retry_after_ms`: one that is made by the same clock so much later counts; 0: nobody knows of such a time."""
        super().__init__(what.message)
        self.fault, self.retry_after_ms = what, retry_after_ms


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One of a participant's own keys."""

    key_id: str
    private: OKPKey = field(repr=False)
    audience: str
    """For which deployment it signs; what is signed for one counts at no other."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """The public half of a key, and when it counts."""

    public_key: str
    """Ed25519, 32 bytes in hexadecimal."""
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    """It counts before then."""
    revoked_at: datetime | None = None
    """It counts before then, whatever valid_until says."""

    def counts_within(self, since: datetime, until: datetime) -> bool:
        """Whether it counts at any moment of these, both included."""
        first = since if self.valid_from is None else max(since, self.valid_from)
        return first <= until and all(first < end for end in (self.valid_until, self.revoked_at) if end is not None)


@dataclass(frozen=True, slots=True)
class Signing:
    """What holds for the signatures of one participant; without a word, none can be checked and none is owed."""

    audience: str = ""
    """The deployment's name."""
    keys: Mapping[str, VerifyingKey] = field(default_factory=dict)
    """By kid."""
    is_required: bool = False
    required_from: datetime | None = None
    """What was logged before then needs none; None: whatever was logged needs one."""

    def is_owed(self, at: datetime) -> bool:
        """Whether what is logged then needs a signature."""
        return self.is_required and (self.required_from is None or self.required_from <= at)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature's protected header says."""

    kid: str
    aud: str
    jti: str
    """Names this signature among those of its key."""
    schema: str
    """The fingerprint of the schema by which the payload was written."""
    iat: int
    exp: int
    """Seconds since 1970, by the wall clock; it counts before then."""


def sign(record: Record, key: SigningKey, *, now_s: int, life_s: int, name: str) -> str:
    """The detached JWS of a record, in compact form. `name` becomes its jti: another for each signature."""
    schema = newest(record.record_name)
    payload = payload_of(record, schema)
    assert payload is not None, "the newest schema says all that a record can"
    said = {"kid": key.key_id, "aud": key.audience, "iat": now_s, "exp": now_s + life_s, "jti": name, "schema": schema}
    whole = jws.serialize_compact({"alg": ALGORITHM, **said}, payload, key.private, registry=_REGISTRY)
    header, _, made = whole.split(".")
    return f"{header}..{made}"


def checked(record: Record, signature: str | None, signing: Signing, at: datetime, late_s: int = 0) -> Signed | None:
    """What the signature says of a record that was written at this wall time; None where none is there, and none owed.

    `late_s`: by so much the record may have been logged after the door had checked it, and so far may the log's clock
    be behind the door's. What held at any moment of that counts.
    Raises BadSignature. What costs least is looked at first: a signature is computed for a known key alone.
    """
    since = at - timedelta(seconds=late_s)
    if signature is None:
        if signing.is_owed(since):
            raise BadSignature(fault("SIGNATURE_REQUIRED", _POINTER, "expected a signature, got none"))
        return None
    said = read(signature)
    key = _key_of(said, signing, since, at)
    _must_be_in_time(said, at, late_s)
    payload = payload_of(record, said.schema)
    if payload is None:
        raise _invalid(f"expected a schema of {record.record_name}, got {said.schema:.64} (SHA-256)")
    try:
        jws.deserialize_compact(signature, _public(key.public_key), registry=_REGISTRY, payload=payload)
    except (JoseError, ValueError):
        raise _invalid(f"expected a signature of this {record.record_name} by the key {said.kid}") from None
    return said


def read(signature: str) -> Signed:
    """What a signature says, true or not. Raises BadSignature where it is no detached JWS of ours."""
    parts = signature.split(".")
    if len(signature) > MAX_SIGNATURE or len(parts) != 3 or parts[1] or not all(map(_is_canonical, parts)):
        raise _invalid("expected a detached JWS: header, nothing, signature, in base64url, with dots between")
    try:
        header: dict[str, Any] = jws.extract_compact(signature.encode(), b"", _REGISTRY).headers()
        _REGISTRY.check_header(header)
    except (JoseError, ValueError, TypeError, RecursionError):
        raise _invalid("expected a header with alg, kid, aud, iat, exp, jti and schema, and nothing else") from None
    if sorted(header) != sorted(_TEXTS + _TIMES) or header["alg"] != ALGORITHM:
        raise _invalid(f"expected a header with alg ({ALGORITHM}), kid, aud, iat, exp, jti and schema, nothing else")
    if not all(isinstance(header[name], str) and 0 < len(header[name]) <= _LONGEST_TEXT for name in _TEXTS):
        raise _invalid(f"expected texts of 1 to {_LONGEST_TEXT} characters for {', '.join(_TEXTS)}")
    if not all(type(header[name]) is int and 0 <= header[name] < 2**53 for name in _TIMES):
        raise _invalid("expected whole seconds since 1970 for iat and exp")
    return Signed(**{name: header[name] for name in (*_TEXTS[1:], *_TIMES)})


def _key_of(said: Signed, signing: Signing, since: datetime, at: datetime) -> VerifyingKey:
    if (key := signing.keys.get(said.kid)) is None:
        raise _invalid(f"expected a key that the registry has of this participant, got kid {said.kid:.64}")
    if not key.counts_within(since, at):
        raise _invalid(f"expected a key that counts at {rfc3339(at)}, got {said.kid:.64}")
    if said.aud != signing.audience:
        raise _invalid(f"expected aud {signing.audience}, this deployment, got {said.aud:.64}")
    return key


def _must_be_in_time(said: Signed, at: datetime, late_s: int) -> None:
    if not 0 < said.exp - said.iat <= LONGEST_LIFE_S:
        raise _invalid(f"expected exp 1 to {LONGEST_LIFE_S} s after iat, got {said.exp - said.iat}")
    now_s = at.timestamp()
    if now_s >= said.exp + late_s or now_s < said.iat - LEEWAY_S - late_s:
        when = f"from {_time(said.iat)} to {_time(said.exp)}"
        raise BadSignature(
            fault("SIGNATURE_EXPIRED", _POINTER, f"expected one that counts at {rfc3339(at)}, got one {when}")
        )


def _time(seconds: int) -> str:
    try:
        return rfc3339(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def _invalid(message: str) -> BadSignature:
    return BadSignature(fault("SIGNATURE_INVALID", _POINTER, message))


def _is_canonical(part: str) -> bool:
    """One text for one value: what decodes to the same bytes would be another signature otherwise."""
    try:
        return urlsafe_b64encode(urlsafe_b64decode(part + "=" * (-len(part) % 4))).rstrip(b"=") == part.encode("ascii")
    except (binascii.Error, ValueError):
        return False


@lru_cache(maxsize=1024)
def _public(key: str) -> OKPKey:
    """Raises ValueError where the bytes are no key."""
    x = urlsafe_b64encode(bytes.fromhex(key)).rstrip(b"=").decode()
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})
