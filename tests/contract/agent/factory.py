"""A DSX Flex factory behind a real broker: it takes load targets, tells its power state, and has a clock of the test's.

A target replaces what stood at its feed and time; null clears. What is not signed as it must be is dropped, silently.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiomqtt
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from gridsignal.agent.actuators import dsx_wire as wire
from gridsignal_schemas.values import KW, MW, rfc3339
from tests.patience import SOON_S
from tests.services.process import free_ports

ISV, AGENT = "acme", "site1"
FEEDS = [wire.Feed("hall-1", 0.6), wire.Feed("hall-2", 0.4)]
USUAL_W = {"hall-1": 7200 * KW, "hall-2": 4800 * KW}
LEAST_W = {"hall-1": 1200 * KW, "hall-2": 800 * KW}
_BEAT_S = 0.2
MOSQUITTO = shutil.which("mosquitto", path=os.pathsep.join((os.environ["PATH"], "/usr/sbin")))
ACL = f"""\
user {ISV}
topic write {wire.set_topic(ISV)}
topic read grid/v1/dsx-flex-agent/#
user {AGENT}
topic write {wire.status_topic(AGENT)}
topic read grid/v1/isv/+/loadtarget/set
"""


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """mosquitto with a user for either side, each with its own topics; its port."""
    (port,) = free_ports(1)
    (folder / "acl").write_text(ACL, "ascii")
    (folder / "passwd").touch(mode=0o600)
    (folder / "acl").chmod(0o600)
    for user in (ISV, AGENT):
        subprocess.run(["mosquitto_passwd", "-b", str(folder / "passwd"), user, user], check=True, capture_output=True)
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous false", "log_dest stderr", "user root"]
    lines += [f"password_file {folder / 'passwd'}", f"acl_file {folder / 'acl'}"]
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n", "utf-8")
    assert MOSQUITTO is not None
    process = subprocess.Popen([MOSQUITTO, "-c", str(folder / "mosquitto.conf")], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        while "running" not in (line := process.stderr.readline()):
            assert line, "mosquitto ended before it ran"
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=SOON_S)


class Factory:
    """The power agent of a factory with two halls."""

    def __init__(self, port: int, own: ECKey, isv: ECKey, now: datetime) -> None:
        self._port, self._own, self._isv, self.now = port, own, isv, now
        self._caps: dict[str, list[tuple[wire.Cap, str]]] = {tag: [] for tag in USUAL_W}
        self._client: aiomqtt.Client | None = None
        self.sets: list[dict[str, Any]] = []
        self.dropped = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with aiomqtt.Client("127.0.0.1", self._port, username=AGENT, password=AGENT, timeout=SOON_S) as client:
            self._client = client
            await client.subscribe("grid/v1/isv/+/loadtarget/set", qos=1)
            listening = asyncio.create_task(self._listen(client))
            beating = asyncio.create_task(self._beat())
            try:
                yield
            finally:
                for task in (listening, beating):
                    task.cancel()
                await asyncio.wait([listening, beating])

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            try:
                event = json.loads(message.payload)
                found = jws.deserialize_compact(event["data"], self._isv, algorithms=["ES256"])
                data = json.loads(found.payload)
            except (ValueError, TypeError, JoseError):
                self.dropped += 1
                continue
            self.sets.append(data)
            for target in data["targets"]:
                self._set(target, event["correlationid"])
            await self.tell()

    def _set(self, target: dict[str, Any], correlation: str) -> None:
        constraint = target["load_constraint"]
        start, end = (datetime.fromisoformat(target["interval"][name]) for name in ("start_time", "end_time"))
        for tag in target["feed_tags"]:
            kept = []
            for cap, by in self._caps[tag]:  # what lies before and after the new interval stays
                if cap.starts_at < start:
                    kept.append((wire.Cap(cap.starts_at, min(cap.ends_at, start), cap.watts), by))
                if end < cap.ends_at:
                    kept.append((wire.Cap(max(cap.starts_at, end), cap.ends_at, cap.watts), by))
            if constraint is not None:
                assert constraint["unit"] == "watt"
                assert constraint["value"] > 0, "0 means no limit"
                kept.append((wire.Cap(start, end, constraint["value"]), correlation))
            self._caps[tag] = sorted(kept, key=lambda each: each[0].starts_at)

    async def _beat(self) -> None:
        """Its heartbeat."""
        loop = asyncio.get_running_loop()
        while True:
            await self.tell()
            due = asyncio.Event()
            loop.call_later(_BEAT_S, due.set)
            await due.wait()

    async def tell(self) -> None:
        """Publishes its whole state."""
        data = {"snapshot_time": rfc3339(self.now), "feeds": {tag: self._state(tag) for tag in self._caps}}
        event = {
            "specversion": "1.0.2",
            "id": str(uuid.uuid4()),
            "source": wire.source("dsx-flex-agent", AGENT),
            "type": wire.STATUS_TYPE,
            "time": rfc3339(self.now),
            "datacontenttype": "application/json",
            "data": jws.serialize_compact({"alg": "ES256", "kid": self._own.kid}, json.dumps(data).encode(), self._own),
        }
        assert self._client is not None
        await self._client.publish(wire.status_topic(AGENT), json.dumps(event), qos=1)

    def _state(self, tag: str) -> dict[str, Any]:
        live = [(cap, by) for cap, by in self._caps[tag] if self.now < cap.ends_at]
        active = next((cap for cap, _ in live if cap.starts_at <= self.now), None)
        load = USUAL_W[tag] if active is None else min(USUAL_W[tag], max(LEAST_W[tag], active.watts or 0))
        told = [
            {
                "active": cap is active,
                "load_constraint": _power(cap.watts or 0),
                "interval": {"start_time": rfc3339(cap.starts_at), "end_time": rfc3339(cap.ends_at)},
                "strategy": {"best_effort": True},
                "correlation_id": by,
            }
            for cap, by in live
        ]
        limits = {"power_minimum": LEAST_W[tag], "power_maximum": 10 * MW, "default_constraint": 10 * MW}
        return {
            "metadata": {name: _power(watts) for name, watts in limits.items()},
            "targets": told,
            "calculated_load": {"value": load / MW, "unit": "megawatt"},
            "in_flight": False,
            "event": "periodic",
            "compliant": active is None or load <= (active.watts or 0),
        }


def _power(watts: int) -> dict[str, Any]:
    return {"value": watts, "unit": "watt"}
