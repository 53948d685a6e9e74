"""`token revoke` means every token that there is so far, and none that is issued later."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.access.issuer import LocalIssuer
from gridsignal_services.access.revocations import Revocations
from gridsignal_services.cli.revoking import revoke
from tests.unit.access.test_tokens import KEY, claims, signed

LAST_SECOND = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)


@given(st.integers(0, 999_999), st.integers(-2, 2))
def test_without_a_jti_it_means_what_was_issued_until_this_second_and_nothing_later(
    past_us: int, issued_in: int
) -> None:
    now, issued_s = LAST_SECOND + timedelta(microseconds=past_us), int(LAST_SECOND.timestamp()) + issued_in
    token = signed(claims(iat=issued_s, exp=issued_s + 60))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "revoked.toml"
        revoke(file, token, "", "org", now)
        revocations = Revocations.parse(file.read_text("utf-8"))
    who = LocalIssuer(KEY).verifier().verify(token, datetime.fromtimestamp(issued_s, UTC))
    assert revocations.cover(who) is (issued_in <= 0)
