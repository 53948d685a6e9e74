"""Key sets as identity providers publish them: what can be used is, what can't is named and left out."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from gridsignal_services.access.keys import ES256, MAX_KEYS, RS256, TrustedKeys

EC = ECKey.generate_key("P-256", auto_kid=True)
RSA = RSAKey.generate_key(2048, auto_kid=True)


def public(key: ECKey | RSAKey, **changes: Any) -> dict[str, Any]:
    made = {**key.as_dict(private=False), "kid": key.kid} | changes
    return {name: value for name, value in made.items() if value is not None}


GOOD = public(EC)
SECRET = str(EC.as_dict(private=True)["d"])
UNUSABLE: dict[str, Any] = {
    "no kid": public(RSA, kid=None),
    "an empty kid": public(RSA, kid=""),
    "a kid that is a number": public(RSA, kid=7),
    "for encryption": public(RSA, use="enc"),
    "another algorithm": public(RSA, alg="RS512"),
    "an algorithm of another kind": public(EC, kid="other", alg="RS256"),
    "another curve": public(ECKey.generate_key("P-384", auto_kid=True)),
    "a private key": {**EC.as_dict(private=True), "kid": "private"},
    "a shared secret": {"kty": "oct", "kid": "a", "k": "AAAA"},
    "a key of another kind": {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "AAAA"},
    "a short RSA key": public(RSA, n=RSA.as_dict(private=False)["n"][:171]),
    "an RSA key without end": public(RSA, n="A" * 100_000),
    "an RSA key with e=1": public(RSA, e="AQ"),
    "an RSA key without n": public(RSA, n=None),
    "a point that is on no curve": public(EC, kid="off", x="AAAA", y="AAAA"),
    "no object": "key",
}


def test_a_key_is_pinned_to_the_algorithm_of_its_kind() -> None:
    keys = TrustedKeys.of({"keys": [GOOD, public(RSA, alg=None, use="sig", x5t="abc", x5c=["abc"])]})
    assert {kid: trusted.algorithm for kid, trusted in keys.by_id.items()} == {EC.kid: ES256, RSA.kid: RS256}
    assert keys.unusable == ()


@pytest.mark.parametrize("entry", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_key_that_can_not_be_used_is_left_out_of_a_set_that_has_others(entry: Any) -> None:
    keys = TrustedKeys.of({"keys": [entry, GOOD]})
    assert list(keys.by_id) == [EC.kid]
    (line,) = keys.unusable
    assert line.startswith("jwks: expected")
    assert line.endswith("for key 1 of 2")
    assert SECRET not in line


@pytest.mark.parametrize("entry", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_set_without_a_usable_key_is_a_mistake(entry: Any) -> None:
    with pytest.raises(ValueError, match="jwks: expected") as refused:
        TrustedKeys.of({"keys": [entry]})
    assert SECRET not in str(refused.value)


def test_two_keys_under_one_id_are_both_left_out() -> None:
    keys = TrustedKeys.of({"keys": [public(RSA, kid="same"), public(EC, kid="same"), GOOD]})
    assert list(keys.by_id) == [EC.kid]
    assert len(keys.unusable) == 2


@pytest.mark.parametrize("jwks", [{}, [], {"keys": {}}, {"keys": []}, {"keys": [GOOD] * (MAX_KEYS + 1)}])
def test_what_is_no_set_of_keys_is_a_mistake(jwks: Any) -> None:
    with pytest.raises(ValueError, match="jwks: expected a JWK set"):
        TrustedKeys.of(jwks)
