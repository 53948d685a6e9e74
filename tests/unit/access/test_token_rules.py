"""What an installation decides about its tokens: algorithms, claims, lifetimes, clocks, and who hears why."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import RSAKey

from gridsignal_services.access.issuer import AUDIENCE, ISSUER
from gridsignal_services.access.tokens import REASONS, TokenRules, Unauthorized, Verifier
from tests.unit.access.test_tokens import (
    KEY,
    LOCAL,
    NOW,
    NOW_S,
    OTHER_KEY,
    VERIFIER,
    WRONG_CLAIMS,
    claims,
    segment,
    signed,
)

RSA_KEY = RSAKey.generate_key(2048, auto_kid=True)
BOTH = {"keys": [KEY.as_dict(private=False), {**RSA_KEY.as_dict(private=False), "kid": RSA_KEY.kid}]}


def signed_by_rsa(payload: dict[str, Any], algorithm: str = "RS256", **header_changes: Any) -> str:
    registry = jws.JWSRegistry(strict_check_header=False, algorithms=[algorithm])
    head = {"alg": algorithm, "typ": "JWT", "kid": RSA_KEY.kid} | header_changes
    return jws.serialize_compact(head, json.dumps(payload).encode(), RSA_KEY, registry=registry)


@pytest.mark.parametrize("beside", [{}, {"typ": "at+jwt"}, {"x5t": "abc", "x5t#S256": "abc"}])
def test_rs256_is_as_good_as_es256(beside: dict[str, Any]) -> None:
    verifier = Verifier(BOTH, ISSUER, AUDIENCE)
    assert verifier.verify(signed_by_rsa(claims(), **beside), NOW).organisation == "acme-ai"
    assert verifier.verify(signed(claims()), NOW).organisation == "acme-ai"


def test_a_type_may_be_left_out_as_okta_does() -> None:
    token = jws.serialize_compact({"alg": "RS256", "kid": RSA_KEY.kid}, json.dumps(claims()).encode(), RSA_KEY)
    assert Verifier(BOTH, ISSUER, AUDIENCE).verify(token, NOW).key_id == RSA_KEY.kid


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "HS256", "ES256", "none"])
def test_a_key_signs_with_its_own_algorithm_alone(algorithm: str) -> None:
    verifier = Verifier(BOTH, ISSUER, AUDIENCE)
    for text in (signed_by_rsa(claims()), signed_by_rsa(claims(), "RS512"), signed(claims(), kid=RSA_KEY.kid)):
        head, body, signature = text.split(".")
        renamed = json.loads(urlsafe_b64decode(head + "==")) | {"alg": algorithm}
        with pytest.raises(Unauthorized):
            verifier.verify(f"{segment(renamed)}.{body}.{signature}", NOW)


@pytest.mark.parametrize(("life_s", "why"), [(3600, ""), (3601, "life"), (10**9, "life")])
def test_a_token_made_for_too_long_is_refused_from_the_start(life_s: int, why: str) -> None:
    verifier = Verifier(LOCAL.jwks, ISSUER, AUDIENCE, TokenRules(max_life_s=3600))
    assert _why(verifier, signed(claims(iat=NOW_S - 5, exp=NOW_S - 5 + life_s))) == why


def test_a_token_until_2099_is_refused_where_nothing_is_set() -> None:
    assert _why(VERIFIER, signed(claims(exp=4_070_908_800))) == "life"


@pytest.mark.parametrize(("ahead_s", "why"), [(5, ""), (6, "early")])
def test_how_far_the_issuers_clock_may_be_ahead_is_a_setting(ahead_s: int, why: str) -> None:
    verifier = Verifier(LOCAL.jwks, ISSUER, AUDIENCE, TokenRules(leeway_s=5))
    assert _why(verifier, signed(claims(iat=NOW_S + ahead_s))) == why


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({"azp": "console"}, ""),
        ({"client_id": "console"}, ""),
        ({"azp": "console", "client_id": "other"}, ""),
        ({"azp": "other", "client_id": "console"}, "client"),
        ({}, "client"),
    ],
)
def test_whose_tokens_are_taken_is_a_setting(named: dict[str, str], why: str) -> None:
    verifier = Verifier(LOCAL.jwks, ISSUER, AUDIENCE, TokenRules(clients=frozenset({"console"})))
    assert _why(verifier, signed(claims(**named))) == why
    assert _why(VERIFIER, signed(claims(**named))) == ""


def _why(verifier: Verifier, token: str) -> str:
    try:
        verifier.verify(token, NOW)
    except Unauthorized as refusal:
        return refusal.why
    return ""


def test_every_refusal_is_told_with_its_reason_to_who_runs_the_service() -> None:
    heard: list[str] = []
    verifier = Verifier(LOCAL.jwks, ISSUER, AUDIENCE, refused=heard.append)
    for token in (signed(payload) for payload in WRONG_CLAIMS.values()):
        with pytest.raises(Unauthorized):
            verifier.verify(token, NOW)
    assert len(heard) == len(WRONG_CLAIMS)
    assert REASONS.issuperset(heard)
    assert {"issuer", "audience", "expired", "early", "identity"}.issubset(heard)


def test_only_a_token_that_was_good_is_called_expired() -> None:
    old = {"iat": NOW_S - 60, "exp": NOW_S}
    with pytest.raises(Unauthorized) as refused:
        VERIFIER.verify(signed(claims(**old)), NOW)
    assert refused.value.expired_at == NOW
    for token in (
        signed(claims(**old, aud="billing")),
        signed(claims(**old, iss="https://elsewhere")),
        signed(claims(**old), OTHER_KEY),
    ):
        with pytest.raises(Unauthorized) as refused:
            VERIFIER.verify(token, NOW)
        assert refused.value.expired_at is None


OWN_NAMES = TokenRules(role_claim="roles", organisation_claim="https://grid.example/org", scope_claim="scp")
AS_ENTRA = {"roles": ["operator"], "https://grid.example/org": "tso-north", "scp": "signal:read dispatch:write"}


@pytest.mark.parametrize(
    "changes", [{}, {"scp": ["signal:read", "dispatch:write"]}, {"roles": "operator"}, {"roles": ["x", "operator"]}]
)
def test_claims_may_have_the_issuers_own_names(changes: dict[str, Any]) -> None:
    bare = {name: value for name, value in claims().items() if name not in ("role", "org", "scope")}
    verifier = Verifier(LOCAL.jwks, ISSUER, AUDIENCE, OWN_NAMES)
    who = verifier.verify(signed(bare | AS_ENTRA | changes), NOW)
    assert (who.name, who.scopes) == ("operator:tso-north", {"signal:read", "dispatch:write"})


@pytest.mark.parametrize("roles", [[], ["operator", "participant"], ["root"], ["operator", 5], 5, {"operator": 1}])
def test_a_list_of_roles_names_exactly_one_of_ours(roles: Any) -> None:
    verifier = Verifier(LOCAL.jwks, ISSUER, AUDIENCE, OWN_NAMES)
    assert _why(verifier, signed(claims() | AS_ENTRA | {"roles": roles})) == "identity"
