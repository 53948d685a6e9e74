"""The strict door before the JWT library: every way in that is not exactly right is the same closed door."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from gridsignal.tokens import LONGEST
from gridsignal_services.access import Principal
from gridsignal_services.access.issuer import AUDIENCE, ISSUER, LocalIssuer
from gridsignal_services.access.tokens import MAX_TOKEN, Unauthorized, Verifier

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
KEY = ECKey.generate_key("P-256", auto_kid=True)
OTHER_KEY = ECKey.generate_key("P-256", auto_kid=True)
LOCAL = LocalIssuer(KEY)
VERIFIER = LOCAL.verifier()
CANARY = "canary-7f3a9"


def header(**changes: Any) -> dict[str, Any]:
    return {"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid} | changes


def claims(**changes: Any) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "planner",
        "iat": NOW_S,
        "exp": NOW_S + 60,
        "role": "participant",
        "org": "acme-ai",
        "scope": "signal:read offer:write",
    } | changes


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in claims().items() if key != name}


def signed(payload: dict[str, Any] | str, key: ECKey = KEY, **header_changes: Any) -> str:
    """A token with a right signature over whatever it says."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    registry = jws.JWSRegistry(strict_check_header=False, algorithms=["ES256"])
    return jws.serialize_compact(header(**header_changes), text.encode(), key, registry=registry)


def test_a_minted_token_names_its_principal() -> None:
    token = LOCAL.mint("operator", "tso-north", "desk", ["signal:read", "dispatch:write"], 600, NOW)

    assert VERIFIER.verify(token, NOW) == Principal(
        role="operator",
        organisation="tso-north",
        subject="desk",
        scopes=frozenset({"signal:read", "dispatch:write"}),
        expires_at=NOW + timedelta(seconds=600),
    )


def test_scopes_of_other_services_mean_nothing_here() -> None:
    assert VERIFIER.verify(signed(claims(scope="signal:read billing:admin")), NOW).scopes == {"signal:read"}


def test_an_audience_may_be_one_of_several() -> None:
    assert VERIFIER.verify(signed(claims(aud=["other", AUDIENCE])), NOW).organisation == "acme-ai"


WRONG_CLAIMS = {
    **{f"no {name}": without(name) for name in ("iss", "aud", "sub", "iat", "exp", "role", "org")},
    "another issuer": claims(iss="https://elsewhere"),
    "another audience": claims(aud="billing"),
    "audiences without us": claims(aud=["billing"]),
    "audiences that are no texts": claims(aud=[AUDIENCE, 5]),
    "an audience inside a text": claims(aud=f"x{AUDIENCE}x"),
    "expired this second": claims(iat=NOW_S - 60, exp=NOW_S),
    "issued in the future": claims(iat=NOW_S + 61, exp=NOW_S + 600),
    "not valid yet": claims(nbf=NOW_S + 61, exp=NOW_S + 600),
    "expired before it was issued": claims(iat=NOW_S + 50, exp=NOW_S + 40),
    "a fractional time": claims(exp=NOW_S + 60.5),
    "a whole number written as a fraction": claims(exp=float(NOW_S + 60)),
    "a time as text": claims(exp=str(NOW_S + 60)),
    "a time that is true": claims(iat=True),
    "a negative time": claims(iat=-1),
    "a time beyond the calendar": claims(exp=10**15),
    "a null time": claims(nbf=None),
    "an unknown role": claims(role="root"),
    "a role that is a list": claims(role=["operator"]),
    "an organisation with a space": claims(org="acme ai"),
    "an organisation with a newline at its end": claims(org="acme-ai\n"),
    "an empty subject": claims(sub=""),
    "a subject that is no text": claims(sub=5),
    "a subject with a line break": claims(sub="a\nb"),
    "scopes as a list": claims(scope=["signal:read"]),
}


@pytest.mark.parametrize("payload", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS.keys())
def test_wrong_claims_are_refused_under_a_right_signature(payload: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        VERIFIER.verify(signed(payload), NOW)


WRONG_HEADERS: dict[str, dict[str, Any]] = {
    "another type": {"typ": "dpop+jwt"},
    "no type": {"typ": None},
    "a key inside": {"jwk": KEY.as_dict(private=False)},
    "a key elsewhere": {"jku": "https://evil.example/jwks.json"},
    "a critical extension": {"crit": ["exp"]},
    "an unknown key": {"kid": OTHER_KEY.kid},
    "a key id that is a number": {"kid": 5},
    "compressed": {"zip": "DEF"},
}


def segment(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize("changes", WRONG_HEADERS.values(), ids=WRONG_HEADERS.keys())
def test_wrong_headers_are_refused(changes: dict[str, Any]) -> None:
    body = signed(claims()).split(".")[1]
    signing_input = f"{segment(header(**changes))}.{body}".encode()
    signature = jws.JWSRegistry.algorithms["ES256"].sign(signing_input, KEY)
    encoded = urlsafe_b64encode(signature).decode().rstrip("=")

    with pytest.raises(Unauthorized):
        VERIFIER.verify(f"{signing_input.decode()}.{encoded}", NOW)


def test_a_token_without_a_signature_is_refused() -> None:
    for algorithm in ("none", "None", "ES256"):
        with pytest.raises(Unauthorized):
            VERIFIER.verify(f"{segment(header(alg=algorithm))}.{segment(claims())}.", NOW)


def test_a_public_key_is_no_shared_secret() -> None:
    public = json.dumps(KEY.as_dict(private=False))
    forged = jws.serialize_compact(
        header(alg="HS256"), json.dumps(claims()).encode(), OctKey.import_key(public.encode()), algorithms=["HS256"]
    )
    with pytest.raises(Unauthorized):
        VERIFIER.verify(forged, NOW)


def test_another_key_under_our_key_id_is_refused() -> None:
    with pytest.raises(Unauthorized) as refused:
        VERIFIER.verify(signed(claims(), OTHER_KEY), NOW)
    assert refused.value.why == "signature"


def test_a_claim_said_twice_is_refused() -> None:
    text = json.dumps(claims())
    with pytest.raises(Unauthorized) as refused:
        VERIFIER.verify(signed(text[:-1] + ', "org": "hyper-infer"}'), NOW)
    assert refused.value.why == "duplicate"


def test_other_shapes_than_three_segments_are_refused() -> None:
    token = signed(claims())
    head, body, signature = token.split(".")
    for text in ("", ".", "..", f"{head}.{body}", f"{token}.", f"{token}.{signature}", f" {token}", f"{token}\n"):
        with pytest.raises(Unauthorized):
            VERIFIER.verify(text, NOW)
    with pytest.raises(Unauthorized):
        VERIFIER.verify(f"{head}=.{body}.{signature}", NOW)


def test_a_token_is_not_read_beyond_its_bound() -> None:
    with pytest.raises(Unauthorized) as refused:
        VERIFIER.verify("a" * (MAX_TOKEN + 1), NOW)
    assert refused.value.why == "size"


def test_a_token_that_the_sdk_sends_is_within_the_bound() -> None:
    assert LONGEST <= MAX_TOKEN


def test_deep_nesting_ends_in_the_same_refusal() -> None:
    nested = segment("[" * 5000)
    with pytest.raises(Unauthorized):
        VERIFIER.verify(f"{segment(header())}.{nested}.AAAA", NOW)


def test_nothing_of_a_token_is_in_the_refusal() -> None:
    tokens = [signed(payload) for payload in WRONG_CLAIMS.values()] + [signed(claims(sub=CANARY, iss=CANARY)), CANARY]
    for token in tokens:
        with pytest.raises(Unauthorized) as refused:
            VERIFIER.verify(token, NOW)
        said = f"{refused.value!s} {refused.value!r} {refused.value.why} {refused.value.__cause__!r}"
        assert str(refused.value) == "unauthorized"
        assert CANARY not in said
        assert not any(segment and segment in said for segment in token.split("."))


@given(st.text(max_size=200))
def test_any_text_ends_in_a_refusal(text: str) -> None:
    with pytest.raises(Unauthorized):
        VERIFIER.verify(text, NOW)


@given(
    st.dictionaries(
        st.sampled_from(["iss", "aud", "sub", "iat", "exp", "nbf", "role", "org", "scope"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=5,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_signed_claims_name_a_principal_or_are_refused(changes: dict[str, Any]) -> None:
    try:
        principal = VERIFIER.verify(signed(claims(**changes)), NOW)
    except Unauthorized:
        return
    assert principal.expires_at > NOW
    assert principal.role in ("operator", "participant", "service")


@given(st.integers(min_value=0, max_value=400), st.integers(min_value=1, max_value=255))
def test_one_changed_character_closes_the_door(at: int, change: int) -> None:
    token = signed(claims())
    at %= len(token.rsplit(".", 1)[0])  # within what is signed
    changed = token[:at] + chr(ord(token[at]) ^ change) + token[at + 1 :]
    with pytest.raises(Unauthorized):
        VERIFIER.verify(changed, NOW)


def test_a_key_set_is_configuration_and_must_be_exact() -> None:
    public = KEY.as_dict(private=False)
    wrong: list[dict[str, Any]] = [
        {"keys": []},
        {"keys": [public, public]},
        {"keys": [{name: value for name, value in public.items() if name != "kid"}]},
        {"keys": [KEY.as_dict(private=True)]},
        {"keys": [{**public, "alg": "ES384"}]},
        {"keys": [{"kty": "oct", "kid": "a", "k": "AAAA"}]},
    ]
    for jwks in wrong:
        with pytest.raises(ValueError, match="jwks: expected") as refused:
            Verifier(jwks, ISSUER, AUDIENCE)
        assert str(KEY.as_dict(private=True)["d"]) not in str(refused.value)
