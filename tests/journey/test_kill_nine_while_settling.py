"""kill -9 of the owner between any two records of a settlement run, of whoever reads it and of whoever disputes it.

Nothing is repeated, nothing is lost, and what lies on the log at last is what an undisturbed run writes. Each version
names the root of the tree at which it was computed: that alone differs, for a start begins anew.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

import gridsignal
from gridsignal_schemas.messages import Settlement, SettlementDispute, SettlementStatus
from gridsignal_schemas.values import MW
from gridsignal_services import embedded
from gridsignal_services.audit.checking import Checked, Readings, check
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.bus.sqlite_reading import log_in
from gridsignal_services.clock import SteppedClock, micros
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.journey.conftest import PATIENT, World
from tests.journey.test_kill_nine import Up
from tests.journey.travelling import END, GATE, PARTITION, Hours
from tests.patience import LONG_S, SOON_S

DYING = Path(__file__).with_name("dying.py")
CODEC = Codec.from_lock()
ORDERS = 3
TWO_DAYS, LAST_MONTH = timedelta(days=2), timedelta(days=40)
"""How long ago the orders were: what is due of each is the provisional version, or the final one."""
Version = tuple[str, int]
Connecting = AbstractAsyncContextManager[gridsignal.Grid]


class Delivered:
    """Three orders that are over, before what is due of them is written, and after it."""

    def __init__(self, home: Path, ago: timedelta) -> None:
        self.unsettled, self.settled = home / "unsettled", home / "settled"
        self.status = SettlementStatus.FINAL if ago >= LAST_MONTH else SettlementStatus.PROVISIONAL
        self.unsettled.mkdir()
        begins = (datetime.now(UTC) - ago).replace(hour=12, minute=0, second=0, microsecond=0)
        self.month = f"{begins:%Y-%m}"
        asyncio.run(_deliver(self.unsettled, ago, begins))
        shutil.copytree(self.unsettled, self.settled)
        asyncio.run(_dies(self.settled, "after Settlement", ORDERS))  # when there is nothing left to do


@pytest.fixture(scope="module")
def delivered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    """Not async: no loop runs yet."""
    return Delivered(tmp_path_factory.mktemp("delivered"), request.param)


OF_LAST_MONTH = pytest.mark.parametrize("delivered", [LAST_MONTH], ids=["last month"], indirect=True)


async def _deliver(directory: Path, ago: timedelta, begins: datetime) -> None:
    async with (
        _world(directory, begins) as world,
        world.site("acme-ai", "fra-1") as fra,
        world.site("volt-colo", "muc-1") as muc,
    ):
        sites = {"fra-1": fra, "muc-1": muc}
        heard = {name: grid.subscribe("dispatch", zones=["DE-LU"]) for name, grid in sites.items()}
        hours = Hours(world, sites, heard, begins)
        offers = (("fra-1", "80", 6), ("muc-1", "90", 4)), (("fra-1", "70", 8),)
        for some in offers:
            await hours.ask(sum(mw for _, _, mw in some))
            for site, price, mw in some:
                await hours.offer(site, price, mw)
        await hours.reach(GATE)
        for number, some in enumerate(offers):
            for site, _, _ in some:
                await hours.accept(site, request=number)
        await hours.metered("fra-1", 22, 25, 22)
        await hours.metered("muc-1", 14, 14, 15)
        # a version that is owed may be overtaken by the next that is due: the provisional ones of last month are there
        await hours.reach(END + 5 if ago < LAST_MONTH else END + 65)


@asynccontextmanager
async def _world(directory: Path, begins: datetime) -> AsyncIterator[World]:
    """As `gridsignal up` in this folder, but for its time."""
    clock = SteppedClock(begins)
    settings = ServerSettings(directory=directory, gateway_port=0, dispatch_port=0, ingest_port=0, limits=PATIENT)
    log = await SqliteLog.open(directory, append_time_us=lambda: micros(clock.now()))
    try:
        starting = embedded.running(log, directory, registry=example_registry(), clock=clock, settings=settings)
        async with starting as stack:
            await stack.declare_flat_baselines(embedded.midnight(begins), 4, 0.6)
            yield World(stack, log, clock)
    finally:
        await log.aclose()


async def _dies(directory: Path, moment: str, count: int) -> None:
    """`gridsignal up` is started, and killed at that moment."""
    await killed(Up(directory, str(DYING), moment, str(count)).command)


async def killed(command: Sequence[str]) -> None:
    """Returns when what this starts was killed by -9, which it does itself."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(LONG_S):
            told, _ = await process.communicate()
        assert process.returncode == -9, told.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def _settlements(directory: Path) -> dict[Version, bytes]:
    """What each version says, but for the root it names; on the log each of them lies once."""
    with log_in(directory) as log:
        records = [CODEC.decode(logged.value) for logged in log.records("dispatch", PARTITION)]
    found = [record for record in records if isinstance(record, Settlement)]
    said = {
        (each.order_id, each.version): CODEC.encode(
            each.model_copy(update={"inputs": each.inputs.model_copy(update={"root": None})})
        )
        for each in found
    }
    assert len(said) == len(found)
    return said


def _checked(directory: Path) -> Checked:
    """The zone's partition gone through by somebody else: each award and each amount is made again."""
    with log_in(directory) as log:
        return check(
            PARTITION,
            CODEC,
            lambda: log.records("dispatch", PARTITION),
            readings=Readings(lambda: log.records("readings", PARTITION)),
        )


@pytest.mark.parametrize("delivered", [TWO_DAYS, LAST_MONTH], ids=["two days", "last month"], indirect=True)
async def test_killed_after_each_record_of_a_settlement_run_it_ends_as_if_it_had_not_been(
    delivered: Delivered, tmp_path: Path
) -> None:
    directory = tmp_path / "log"
    shutil.copytree(delivered.unsettled, directory)
    begun = len(_settlements(directory))
    for settled in range(ORDERS):
        assert len(_settlements(directory)) == begun + settled
        await _dies(directory, "after Settlement", 1)

    whole = _settlements(delivered.settled)
    assert _settlements(directory) == whole
    records = map(CODEC.decode, whole.values())
    assert [each.status for each in records if isinstance(each, Settlement)] == [
        *[SettlementStatus.PROVISIONAL] * begun,
        *[delivered.status] * ORDERS,
    ]
    checked = _checked(directory)
    assert (checked.settlements, checked.faults) == (begun + ORDERS, [])


@OF_LAST_MONTH
async def test_killed_while_it_catches_up_it_settles_as_if_it_had_not_been(
    delivered: Delivered, tmp_path: Path
) -> None:
    directory = tmp_path / "log"
    shutil.copytree(delivered.unsettled, directory)
    await _dies(directory, "after Settlement", 1)
    for reads in (2, 9):
        await _dies(directory, "reading", reads)
    await _dies(directory, "after Settlement", ORDERS - 1)

    assert _settlements(directory) == _settlements(delivered.settled)


@OF_LAST_MONTH
async def test_killed_when_it_has_corrected_an_order_it_corrects_it_once(delivered: Delivered, tmp_path: Path) -> None:
    directory = tmp_path / "log"
    shutil.copytree(delivered.settled, directory)
    up = Up(directory)
    dying = Up(directory, str(DYING), "after Settlement", "1", ports=up.ports)
    mine = ("volt-colo", "muc-1")
    async with dying.running() as process, _site(up, tmp_path / "outbox.db", *mine) as grid:  # it wrote nothing so far
        (final,) = await _read(up, "volt-colo")
        line = final.intervals[0]
        await grid.meter(meter="main", seq=9, starts_at=line.starts_at, ends_at=line.ends_at, import_w=18 * MW)
        assert await process.wait() == -9
        async with up.running():
            (corrected,) = await _read(up, "volt-colo")
    versions = [version for order_id, version in _settlements(directory) if order_id == final.order_id]

    assert versions == [1, 2, 3]
    assert (corrected.status, corrected.supersedes) == (SettlementStatus.CORRECTED, 2)
    assert corrected.intervals[0].delivered_wh == 0
    assert _checked(directory).faults == []


@OF_LAST_MONTH
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_dispute_that_was_being_written_is_there_once_and_who_read_the_statement_read_all_of_it(
    delivered: Delivered, tmp_path: Path, when: str
) -> None:
    directory = tmp_path / "log"
    shutil.copytree(delivered.settled, directory)
    up = Up(directory)
    dying = Up(directory, str(DYING), f"{when} SettlementDispute", "1", ports=up.ports)
    async with dying.running() as process, _site(up, tmp_path / "outbox.db") as grid:
        settlement, read = (await _read(up))[0], [await _statement(up, delivered.month)]
        disputing = asyncio.create_task(grid.dispute(settlement, "readings", "the meter was exchanged", claimed="900"))
        with suppress(httpx2.HTTPError):
            while True:
                read.append(await _statement(up, delivered.month))
        assert await process.wait() == -9
        async with up.running():
            async with asyncio.timeout(SOON_S):
                receipt = await disputing
            assert await grid.dispute(settlement, "readings", "the meter was exchanged", claimed="900") == receipt
            after = await _statement(up, delivered.month)

    assert all(each["totals"] == after["totals"] and each["count"] == after["count"] for each in read)
    assert [len(each["disputes"]) for each in after["orders"] if each["order_id"] == settlement.order_id] == [1]
    outcomes = list[bool]()
    with log_in(directory) as log:
        check(
            PARTITION,
            CODEC,
            lambda: log.records("dispatch", PARTITION),
            heard=lambda _, __, record, outcome, ___: (
                outcomes.append(outcome.accepted) if isinstance(record, SettlementDispute) else None
            ),
        )
    assert outcomes.count(True) == 1


def _site(up: Up, outbox: Path, whose: str = "acme-ai", site: str = "fra-1") -> Connecting:
    token = up.token(f"participant-{whose}")
    return gridsignal.connect(f"ws://127.0.0.1:{up.gateway_port}", token=token, site=site, outbox=outbox)


def _desk(up: Up, whose: str) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {up.token(f'participant-{whose}')}"}
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{up.dispatch_port}", headers=headers, timeout=SOON_S)


async def _read(up: Up, whose: str = "acme-ai") -> list[Settlement]:
    """A participant's."""
    async with _desk(up, whose) as desk:
        shown = (await desk.get("/v1/settlements")).json()["settlements"]
    return [Settlement.model_validate_json(json.dumps(each["settlement"])) for each in shown]


async def _statement(up: Up, month: str) -> Any:
    """Of the orders of that month, as acme-ai reads it."""
    async with _desk(up, "acme-ai") as desk:
        return (await desk.get(f"/v1/statements/{month}")).json()
