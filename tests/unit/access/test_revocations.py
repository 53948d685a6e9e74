"""Revoked before it expired: a token, a person, an organisation, a key; and only those."""

from __future__ import annotations

from typing import Any

import pytest

from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.access.revocations import Revocations, Revoked
from gridsignal_services.access.tokens import Unauthorized
from tests.unit.access.test_tokens import KEY, NOW, claims, signed


def refused(text: str, **changes: Any) -> bool:
    """Whether a token with these claims is turned away, and was good without the file."""
    verifier, token = LocalIssuer(KEY).verifier(), signed(claims(**changes))
    who = verifier.verify(token, NOW)
    verifier.revoke(Revocations.parse(text))
    if verifier.still_good(who):
        assert verifier.verify(token, NOW) == who
        return False
    with pytest.raises(Unauthorized) as refusal:
        verifier.verify(token, NOW)
    assert refusal.value.why == "revoked"
    return True


@pytest.mark.parametrize(
    ("entry", "hit", "missed"),
    [
        ('jti = "a"', {"jti": "a"}, {"jti": "b"}),
        ('jti = "a"', {"jti": "a", "sub": "other"}, {}),
        ('sub = "alice"', {"sub": "alice"}, {"sub": "alice2"}),
        ('org = "acme-ai"', {"org": "acme-ai"}, {"org": "acme"}),
        ('org = "acme-ai"\nsub = "alice"', {"org": "acme-ai", "sub": "alice"}, {"org": "volt", "sub": "alice"}),
        ('jti = "a"\norg = "acme-ai"', {"jti": "a"}, {"jti": "a", "org": "volt"}),
        (
            'sub = "alice"\nissued_before = 2026-01-01T12:00:00Z',
            {"sub": "alice", "iat": -1},
            {"sub": "alice", "iat": 0},
        ),
        ('kid = "of the key"\nissued_before = 2026-01-01T12:00:00Z', {"iat": -1}, {"iat": 0}),
        ('kid = "of the key"\nreason = "lost"', {}, None),
    ],
)
def test_an_entry_means_the_tokens_to_which_all_of_it_applies(
    entry: str, hit: dict[str, Any], missed: dict[str, Any] | None
) -> None:
    def at(changes: dict[str, Any]) -> dict[str, Any]:
        return changes | ({"iat": int(NOW.timestamp()) + changes["iat"]} if "iat" in changes else {})

    text = f"[[revoked]]\n{entry}\n".replace("of the key", KEY.kid)
    assert refused(text, **at(hit))
    if missed is not None:
        assert not refused(text, **at(missed))


def test_an_entry_on_its_own_means_no_other_token() -> None:
    who = LocalIssuer(KEY).verifier().verify(signed(claims(jti="a")), NOW)
    assert [Revoked(jti=name, org=who.organisation).covers(who) for name in "ab"] == [True, False]


def test_each_of_several_entries_counts() -> None:
    text = "".join(f'[[revoked]]\njti = "{name}"\n' for name in "abc") + '[[revoked]]\nsub = "alice"\n'
    assert [refused(text, jti=name) for name in "abcd"] == [True, True, True, False]
    assert refused(text, jti="d", sub="alice")


def test_a_file_without_entries_revokes_nothing() -> None:
    assert not refused("# nobody yet\n")


@pytest.mark.parametrize(
    "text",
    [
        "revoked = 1",
        "[[revoked]]\n",
        "[[revoked]]\nissued_before = 2026-01-01T12:00:00Z\n",
        '[[revoked]]\njit = "a"\n',
        '[[revoked]]\njti = ""\n',
        "[[revoked]]\njti = 5\n",
        '[[revoked]]\nsub = "a"\nissued_before = 2026-01-01T12:00:00\n',
        '[[revoked]]\nsub = "a"\nissued_before = "yesterday"\n',
        '[revoked]\njti = "a"\n',
        '[[revokd]]\njti = "a"\n',
        '[[revoked]]\njti = "a',
    ],
)
def test_a_mistake_is_refused_for_it_would_revoke_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|Extra|Input|String"):
        Revocations.parse(text)
