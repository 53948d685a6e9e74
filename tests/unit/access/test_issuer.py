"""The local issuer's files: a private key for its owner alone, a public key set, tokens that outlive a restart."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gridsignal_services.access.issuer import AUDIENCE, ISSUER, LocalIssuer
from gridsignal_services.access.tokens import Unauthorized, Verifier

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_token(issuer: LocalIssuer) -> str:
    return issuer.mint("participant", "acme-ai", "planner", ["offer:write"], 60, NOW)


def test_the_key_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    LocalIssuer.create_or_open(tmp_path / "new")

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
    assert set(modes) == {"issuer-key.json", "jwks.json"}
    assert modes["issuer-key.json"] == 0o600


def test_a_token_outlives_a_restart(tmp_path: Path) -> None:
    token = a_token(LocalIssuer.create_or_open(tmp_path))

    assert LocalIssuer.create_or_open(tmp_path).verifier().verify(token, NOW).organisation == "acme-ai"


def test_the_key_set_file_verifies_and_holds_nothing_private(tmp_path: Path) -> None:
    token = a_token(LocalIssuer.create_or_open(tmp_path))
    jwks = json.loads((tmp_path / "jwks.json").read_text())

    assert Verifier(jwks, ISSUER, AUDIENCE).verify(token, NOW).subject == "planner"
    assert "d" not in jwks["keys"][0]


def test_another_directory_is_another_issuer(tmp_path: Path) -> None:
    token = a_token(LocalIssuer.create_or_open(tmp_path / "one"))

    with pytest.raises(Unauthorized):
        LocalIssuer.create_or_open(tmp_path / "other").verifier().verify(token, NOW)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    LocalIssuer.create_or_open(tmp_path)
    (tmp_path / "issuer-key.json").chmod(0o644)

    with pytest.raises(PermissionError, match="0600"):
        LocalIssuer.create_or_open(tmp_path)
