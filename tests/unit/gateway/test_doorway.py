"""The door: when a limit of the machine is worth a line."""

from __future__ import annotations

import pytest

from gridsignal_services.gateway.doorway import too_few


@pytest.mark.parametrize(("allowed", "expected"), [(896, True), (14_095, True), (14_096, False), (28_192, False)])
def test_only_a_limit_that_is_really_small_is_worth_a_line(allowed: int, expected: bool) -> None:
    assert too_few(allowed, wanted=28_192) is expected
