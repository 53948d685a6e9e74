"""A settlement in a table: a version that a correction made says so, whatever state it is in."""

from __future__ import annotations

import pytest

from gridsignal_schemas.messages import SettlementStatus
from gridsignal_schemas.rules.lifecycle import SettlementState
from gridsignal_services.cli.settle import parser, settlement_row
from tests.builders import a_settlement


@pytest.mark.parametrize("state", SettlementState)
@pytest.mark.parametrize("status", SettlementStatus)
def test_a_corrected_version_says_so_in_every_state(status: SettlementStatus, state: SettlementState) -> None:
    settlement = a_settlement(status=status, version=3, supersedes=2).model_dump(mode="json")
    row = settlement_row({"settlement": settlement, "state": state, "disputes": []})
    assert row[1:3] == (state, "3 CORRECTED" if status is SettlementStatus.CORRECTED else "3")


def test_help_names_every_state(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["list", "--help"])
    told = capsys.readouterr().out
    assert [state for state in SettlementState if state not in told] == []
