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


@given(st.integers(0, 999_999), st.integers(-2, 60), st.integers(0, 200))
def test_it_means_itself_also_where_its_issuers_clock_is_ahead_and_nothing_that_doors_do_not_take_yet(
    past_us: int, ahead_s: int, later_s: int
) -> None:
    now, second = LAST_SECOND + timedelta(microseconds=past_us), int(LAST_SECOND.timestamp())
    token = signed(claims(iat=second + ahead_s, exp=second + 600))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "revoked.toml"
        revoke(file, token, "", "org", now)
        revocations = Revocations.parse(file.read_text("utf-8"))
    moments = (second + ahead_s, second + max(ahead_s, 0) + 1 + later_s)
    own, later = (signed(claims(iat=at, exp=at + 600)) for at in moments)
    verifier = LocalIssuer(KEY).verifier()
    covered = [revocations.cover(verifier.verify(each, LAST_SECOND + timedelta(seconds=261))) for each in (own, later)]
    assert covered == [True, False]
