"""A log written before there were limits: what they change is said at the start, and what they do not is the same."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gridsignal_schemas.rules.lifecycle import OfferState, OrderState
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.replica import Replica
from tests.patience import LONG_S

ROOT = Path(__file__).parents[3]
BEFORE_LIMITS = "7bb4d1a"


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The paths under which the older version's code is found."""
    archive = subprocess.run(
        ["git", "archive", BEFORE_LIMITS, "schemas", "clients", "services"], cwd=ROOT, capture_output=True
    )
    if archive.returncode:
        pytest.skip("needs an older version that could be deployed")
    tree = tmp_path_factory.mktemp("older")
    subprocess.run(["tar", "-x"], cwd=tree, input=archive.stdout, check=True)
    return os.pathsep.join(str(tree / part) for part in ("schemas", "clients/python", "services"))


async def _written(older: str, directory: Path, price: str, resolution_s: int) -> None:
    program = Path(__file__).with_name("write_older_log.py")
    words = (str(program), str(directory), price, str(resolution_s))
    env = {name: value for name, value in os.environ.items() if not name.startswith("GRIDSIGNAL_")}
    writing = await asyncio.create_subprocess_exec(
        sys.executable, *words, env=env | {"PYTHONPATH": older}, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(LONG_S):
        _, err = await writing.communicate()
    assert writing.returncode == 0, err.decode()


@pytest.mark.parametrize(
    ("price", "resolution_s", "contradicted"),
    [
        pytest.param("80", 900, {}, id="nothing that a limit refuses"),
        pytest.param("2000000", 900, {"orders": 1, "offers": 1}, id="a price beyond what can be traded"),
        pytest.param("80", 10, {"orders": 1, "offers": 1}, id="a baseline that is too fine"),
    ],
)
async def test_what_limits_make_of_an_older_log_is_counted_at_the_start(
    older: str, tmp_path: Path, price: str, resolution_s: int, contradicted: dict[str, int]
) -> None:
    await _written(older, tmp_path, price, resolution_s)
    log = await SqliteLog.open(tmp_path)
    replica = Replica(log, Codec.from_lock(), source="/tests")
    with capture_logs() as lines:
        running = asyncio.create_task(replica.run())
        async with asyncio.timeout(LONG_S):
            await replica.caught_up()
        running.cancel()
        await asyncio.wait([running])
    await log.aclose()
    told = [line for line in lines if line["event"].startswith("the rules of this version")]
    assert [{kind: line[kind] for kind in contradicted} for line in told] == ([contradicted] if contradicted else [])
    ledger = replica.ledger_of("DE-LU")
    orders, offers = [o.state for o in ledger.orders.values()], [o.state for o in ledger.offers.values()]
    if not contradicted:
        assert orders in ([OrderState.ISSUED], [OrderState.RECEIVED])  # its site may have said so before it left
        assert offers == [OfferState.TENTATIVE]
    else:
        assert orders == []
        assert set(offers) <= {OfferState.REJECTED}
