"""Tokens to begin with: a file for each organisation, its owner's alone, and each may do what its role does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gridsignal_services.access import DISPATCH_WRITE, OFFER_WRITE, SIGNAL_READ
from gridsignal_services.access.example_tokens import LIVES_S, write_tokens
from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.access.tokens import Unauthorized

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_each_organisation_has_a_token_of_its_role_for_thirty_days(tmp_path: Path) -> None:
    issuer = LocalIssuer.create_or_open(tmp_path)
    organisations = [("operator", "tso-north"), ("participant", "acme-ai")]
    paths = write_tokens(issuer, organisations, tmp_path / "tokens", NOW)
    assert list(paths) == ["operator:tso-north", "participant:acme-ai"]
    assert {path.stat().st_mode & 0o777 for path in paths.values()} == {0o600}
    last, verifier = NOW + timedelta(seconds=LIVES_S - 1), issuer.verifier()
    for (role, organisation), path, may in zip(
        organisations, paths.values(), (DISPATCH_WRITE, OFFER_WRITE), strict=True
    ):
        bearer = verifier.verify(path.read_text("ascii").strip(), last)
        assert (bearer.role, bearer.organisation, bearer.scopes) == (role, organisation, {SIGNAL_READ, may})
        with pytest.raises(Unauthorized):
            verifier.verify(path.read_text("ascii").strip(), NOW + timedelta(seconds=LIVES_S + 120))
