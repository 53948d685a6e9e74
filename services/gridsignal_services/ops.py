"""The operations port of a process: health in detail and metrics, for those who run it.

A public port tells a word and a status; what was counted, and why a door is not ready, tell of everybody's activity.

    GET /healthz    every door and the log, each with its state and the reason for it, as JSON
    GET /readyz     200 when every door is ready and the log can be written
    GET /metrics    what all doors count, for Prometheus
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import h11
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gridsignal_services import output
from gridsignal_services.access.bearer import bearer_of
from gridsignal_services.addresses import address_of, authority, listening
from gridsignal_services.bus.condition import Condition
from gridsignal_services.headway import Headway
from gridsignal_services.settings import ServerSettings
from gridsignal_services.telemetry import METRICS_CONTENT_TYPE, Health, metrics

CONNECTIONS = 32
"""At once; more are hung up on."""
HEADER_BYTES = 8 * 1024
"""A longer header: 431."""
DEADLINE_S = 10.0
"""Who has not asked and read the answer by then is hung up on."""
_BACKLOG = 64
_TEXT = "text/plain; charset=utf-8"
_DEMANDED = {401: [("WWW-Authenticate", "Bearer")], 405: [("Allow", "GET, HEAD")]}
"""What HTTP wants said with a status."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched of one door."""

    name: str
    health: Health
    counted: CollectorRegistry
    trouble: Callable[[], str] = str
    """Why a door that runs is of no use now, or nothing. It is told and no more: a restart would not mend it."""
    followed: Sequence[Headway] = ()
    """What it reads of the log."""

    @property
    def state(self) -> dict[str, object]:
        """That it lives, whether it is ready, and the reason where it is not or is of no use."""
        reasons = [self.health.reason or self.trouble(), *(each.trouble for each in self.followed)]
        return {"live": True, "ready": self.health.ready, "reason": "; ".join(filter(None, reasons))}


class Headways(Collector):
    """What Prometheus is told of all who follow a stream in one process. Bounded: as many lines as partitions."""

    def __init__(self, headways: Iterable[Headway]) -> None:
        self._headways = tuple(headways)

    def collect(self) -> Iterable[Metric]:
        """See Collector.collect."""
        labels = ("by", "stream", "partition")
        position = GaugeMetricFamily("gridsignal_follow_position", "The offset that is read next.", labels=labels)
        behind = GaugeMetricFamily("gridsignal_follow_behind", "Offsets on the log, not read yet.", labels=labels)
        state = GaugeMetricFamily("gridsignal_follow_state", "1 for the state it is in.", labels=(*labels, "state"))
        poison = CounterMetricFamily("gridsignal_follow_poison", "Records passed over, unreadable.", labels=labels[:2])
        for each in self._headways:
            poison.add_metric((each.by, each.stream), each.poison)
            for partition, now in each.phases():
                whose = (each.by, each.stream, str(partition))
                position.add_metric(whose, each.positions.get(partition, 0))
                behind.add_metric(whose, each.behind(partition))
                state.add_metric((*whose, now), 1)
        return position, behind, state, poison


class OpsServer:
    """Answers on the operations port.

    Bounded: `CONNECTIONS` at once, `HEADER_BYTES` and `DEADLINE_S` for each. When full: hangs up on the newest.
    """

    def __init__(
        self,
        settings: ServerSettings,
        port: int,
        doors: Sequence[Watched],
        beside: Sequence[CollectorRegistry] = (),
        *,
        log: Condition | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """`beside` is counted by the process, for all its doors; `log` is what they stand on."""
        self._at, self._token, self._doors = (settings.ops_host, port), settings.ops_token, doors
        self._log, self._deadline_s = log, deadline_s
        self._socket: socket.socket | None = None
        self._open: set[asyncio.StreamWriter] = set()
        process = CollectorRegistry()
        ProcessCollector(registry=process)
        process.register(Headways(dict.fromkeys(each for door in doors for each in door.followed)))
        of_log = [log.counted] if log is not None else []
        self._counted = [process, output.counted, *of_log, *beside, *(door.counted for door in doors)]

    @property
    def url(self) -> str:
        """Where it is reached, once it listens."""
        assert self._socket is not None, "not started"
        return f"http://{authority(*address_of(self._socket))}"

    def listen(self) -> None:
        """Takes the port. Raises OSError where it is taken."""
        self._socket = listening(*self._at, backlog=_BACKLOG)

    async def serve(self) -> None:
        """Answers until it is cancelled."""
        assert self._socket is not None, "listen first"
        async with asyncio.TaskGroup() as tasks:

            def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if len(self._open) >= CONNECTIONS:
                    writer.transport.abort()
                else:
                    self._open.add(writer)
                    tasks.create_task(self._answer(reader, writer))

            server = await asyncio.start_server(arrived, sock=self._socket)
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):  # a deadline, or a socket that is gone by any of its names
                async with asyncio.timeout(self._deadline_s):
                    await self._converse(reader, writer)
        finally:
            self._open.discard(writer)
            writer.transport.abort()  # what was not read by now is not waited for

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_BYTES)
        is_head = False
        try:
            while (request := connection.next_event()) is h11.NEED_DATA:
                connection.receive_data(await reader.read(HEADER_BYTES))
        except h11.RemoteProtocolError as fault:
            status, kind, body = fault.error_status_hint, _TEXT, b"expected an HTTP/1.1 request\n"
        else:
            if not isinstance(request, h11.Request):
                return  # they hung up
            is_head, (status, kind, body) = request.method == b"HEAD", self.page(request)
        head = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        headers = [*head, *_DEMANDED.get(status, []), ("Connection", "close")]
        answer = h11.Response(status_code=status, headers=headers)
        for event in (answer, h11.Data(b"" if is_head else body), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        writer.write_eof()
        await writer.drain()
        while await reader.read(HEADER_BYTES):
            pass  # until they have read the answer and hang up, or the deadline

    def page(self, request: h11.Request) -> tuple[int, str, bytes]:
        """Status, content type and body of the answer."""
        path = request.target.partition(b"?")[0]
        if self._token is not None and not _carries(request, self._token):
            return 401, _TEXT, b"expected the operations token in the Authorization header\n"
        if request.method not in (b"GET", b"HEAD"):
            return 405, _TEXT, b"expected GET\n"
        if path == b"/metrics":
            return 200, METRICS_CONTENT_TYPE, b"".join(map(metrics, self._counted))
        if path == b"/readyz":
            ready = all(door.health.ready for door in self._doors) and not (self._log and self._log.trouble)
            return (200, _TEXT, b"ready\n") if ready else (503, _TEXT, b"not ready\n")
        if path == b"/healthz":
            states = {door.name: door.state for door in self._doors}
            if self._log is not None:  # a restart mends neither a full disk nor a clock
                states["log"] = {"live": True, "ready": not self._log.trouble, "reason": self._log.reason}
            return 200, "application/json", json.dumps(states).encode() + b"\n"
        return 404, _TEXT, b"expected /healthz, /readyz or /metrics\n"


def _carries(request: h11.Request, token: str) -> bool:
    carried = bearer_of([value.decode("latin-1") for name, value in request.headers if name == b"authorization"])
    return carried is not None and hmac.compare_digest(carried.encode("latin-1"), token.encode())
