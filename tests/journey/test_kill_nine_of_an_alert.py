"""kill -9 of the embedded process at any time loses no alert: each reaches the SDK and is acknowledged on the log.

GRIDSIGNAL_KILLS=100 python -m pytest tests/journey/test_kill_nine_of_an_alert.py
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

import gridsignal
from gridsignal import GridAlert
from tests.journey.test_kill_nine import SEED, Up
from tests.patience import LONG_S, SOON_S

KILLS = int(os.environ.get("KILLS", "2"))


class Issuing:
    """An operator's alerts, each pushed until the door has answered that it is on the log."""

    def __init__(self, up: Up, token: str) -> None:
        self.issued: list[str] = []
        self.enough = asyncio.Event()
        self._up, self._token = up, token

    async def go_on(self) -> None:
        """Until the process dies. `enough` is set once some have been issued."""
        first = len(self.issued)
        variables = next(self._up.directory.rglob("operator-tso-north.env")).read_text("utf-8")
        address = re.search(r"GRIDSIGNAL_INGEST=(\S+)", variables)
        assert address is not None
        headers = {"Authorization": f"Bearer {self._token}"}
        with suppress(httpx2.TransportError):
            async with httpx2.AsyncClient(base_url=address[1], headers=headers, timeout=SOON_S) as http:
                while True:
                    alert = an_alert_now(f"alert-{len(self.issued)}")
                    answer = await http.post("/v1/signals/alerts", json=alert)
                    assert answer.status_code in (200, 201), answer.text
                    self.issued.append(alert["alert_id"])
                    if len(self.issued) >= first + 3:
                        self.enough.set()


def an_alert_now(alert_id: str) -> dict[str, Any]:
    """Shed at once, and say that you have heard."""
    now = datetime.now(UTC).isoformat()
    said = {"zone": "DE-LU", "kind": "GRID_EMERGENCY", "level": 3, "action": "SHED", "is_drill": False, "text": "Shed."}
    return {"alert_id": alert_id, "issued_at": now, "starts_at": now, "acknowledge_within_s": 60} | said


async def obey(grid: gridsignal.Grid, heard: set[str]) -> None:
    """A site's program: it does what each alert says, and says that it is done."""
    async with grid.subscribe("alerts") as alerts:
        async for alert in alerts:
            if isinstance(alert, GridAlert):
                heard.add(alert.alert_id)
                await grid.acknowledge(alert, "APPLIED")


async def push_token(up: Up) -> str:
    words = (sys.executable, "-m", "gridsignal", "token", "mint", "--operator", "tso-north", "--push")
    environment = os.environ | {"GRIDSIGNAL_DIRECTORY": str(up.directory)}
    minting = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, env=environment)
    told, _ = await minting.communicate()
    return told.decode().strip()


async def answered(up: Up, alert_id: str) -> None:
    """Returns once the operator's table says of fra-1 that it received and applied an alert."""
    headers = {"Authorization": f"Bearer {up.token('operator-tso-north')}"}
    address = f"http://127.0.0.1:{up.dispatch_port}"
    async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=SOON_S) as http:
        while True:
            table = await http.get(f"/v1/alerts/{alert_id}")
            if table.status_code == 200:
                (site,) = (each for each in table.json()["sites"] if each["site"] == "fra-1")
                if site["received"]["at"] and site["applied"]["at"]:
                    return


async def test_kill_nine_loses_no_alert_and_no_acknowledgement(tmp_path: Path) -> None:
    up, chance, heard = Up(tmp_path), random.Random(SEED), set[str]()
    url = f"ws://127.0.0.1:{up.gateway_port}"
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(LONG_S), up.running():
            issuing = Issuing(up, await push_token(up))
            token, box = up.token("participant-acme-ai"), tmp_path / "outbox.db"
            site = gridsignal.connect(url, token=token, site="fra-1", outbox=box, wait_s=LONG_S)
            grid = await stack.enter_async_context(site)
            obeying = asyncio.create_task(obey(grid, heard))
            stack.callback(obeying.cancel)
        for _ in range(KILLS):
            async with asyncio.timeout(LONG_S), up.running() as process, asyncio.TaskGroup() as tasks:
                issuing.enough.clear()
                tasks.create_task(issuing.go_on())
                await issuing.enough.wait()
                asyncio.get_running_loop().call_later(chance.uniform(0, 0.3), process.kill)
        async with up.running():
            for alert_id in issuing.issued:
                async with asyncio.timeout(LONG_S):
                    await answered(up, alert_id)
    assert len(issuing.issued) >= 3 * KILLS
    assert set(issuing.issued) <= heard
