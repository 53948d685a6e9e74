"""How the agent does, for Prometheus: what is ordered, applied and verified in watts, headroom, and the failsafe.

Bounded: MOST connections, each for a few seconds; as many lines as there are states, notices and durations, never one
for each order. When full: a further one is closed. Conflates: everything between two scrapes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from gridsignal.agent.alerts import Way
from gridsignal.agent.config import Mode
from gridsignal.agent.following import Follower
from gridsignal.agent.headroom import Headroom
from gridsignal.agent.orders import Stage
from gridsignal.errors import UsageError
from gridsignal.failsafe import Contact

MOST = 16
_OPEN_S = 5.0
_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[Mapping[str, str | int], float]


def page(follower: Follower, mode: Mode, room: list[Headroom], now: datetime) -> str:
    """The text exposition format, version 0.0.4: everything is a gauge."""
    gauges = _gauges(follower, mode, room, now)
    return "".join(line for name, told, samples in gauges for line in _lines(name, told, samples))


def _lines(name: str, told: str, samples: list[Sample]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP gridsignal_agent_{name} {told}\n# TYPE gridsignal_agent_{name} gauge\n"
    for labels, value in samples:
        said = ",".join(f'{key}="{each}"' for key, each in labels.items())
        yield f"gridsignal_agent_{name}{f'{{{said}}}' if said else ''} {float(value):.15g}\n"


def _gauges(
    follower: Follower, mode: Mode, room: list[Headroom], now: datetime
) -> Iterator[tuple[str, str, list[Sample]]]:
    contact, decision, seen = follower.contact, follower.contact.decision, follower.seen
    stages = [each.stage for each in follower.orders.values()]
    ways = [each.way for each in follower.heeding.alerts.values() if each.is_live]
    yield "mode", "1 for the mode that it runs in.", [({"mode": each}, each is mode) for each in Mode]
    yield (
        "contact",
        "1 for how the site stands with the grid.",
        [({"contact": each}, each is decision.contact) for each in Contact],
    )
    yield "silence_seconds", "Since the grid answered last.", _one((now - contact.heard_at).total_seconds())
    yield "failsafe_limit_watts", "What the failsafe lets the site draw, while it does.", _one(decision.limit_w)
    yield "orders", "Orders in hand by their state.", [({"stage": each}, stages.count(each)) for each in Stage]
    yield (
        "alerts",
        "Alerts that the site keeps to.",
        [({"way": each}, ways.count(each)) for each in Way if each is not Way.NOTHING],
    )
    yield "reports_owed", "Reports that the grid has not taken so far.", _one(len(follower.reports()))
    if seen is not None:
        slot, observed = seen.slot, seen.observed
        yield "look_age_seconds", "Since the actuator was read back last.", _one((now - seen.at).total_seconds())
        yield "asked_watts", "Below the baseline, asked of the site now.", _one(0 if slot is None else slot.shed_w)
        yield "actuator_answers", "0 where the actuator does not answer.", _one(observed is not None)
        yield (
            "applied_watts",
            "Below the baseline, as the actuator reads back.",
            _one(None if observed is None else observed.shed_w),
        )
        verified_w = None
        if slot is not None and slot.baseline_w is not None and seen.drawn_w is not None:
            verified_w = slot.baseline_w - seen.drawn_w
        yield "verified_watts", "Below the baseline, as the meter shows.", _one(verified_w)
    yield (
        "headroom_watts",
        "What could still be shed, by notice and duration.",
        [
            ({"direction": "shed", "notice_s": each.notice_s, "duration_s": each.duration_s}, each.shed_w)
            for each in room
        ],
    )


def _one(value: float | None) -> list[Sample]:
    return [] if value is None else [({}, value)]


@asynccontextmanager
async def served(host: str, port: int, told: Callable[[], str]) -> AsyncIterator[int]:
    """GET /metrics for as long as the block runs; the port. Raises UsageError where it can't be had."""
    opened = set[asyncio.BaseTransport]()

    class Bounded(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            opened.add(transport)
            if len(opened) > MOST:
                self.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            opened.discard(self.transport)
            super().connection_lost(exc)

    def answer(connection: ServerConnection, request: Request) -> Response:
        if request.path.partition("?")[0] != "/metrics":
            return connection.respond(HTTPStatus.NOT_FOUND, "expected /metrics\n")
        found = connection.respond(HTTPStatus.OK, told())
        del found.headers["Content-Type"]
        found.headers["Content-Type"] = _TYPE
        return found

    async def nothing(connection: ServerConnection) -> None:
        """No request comes this far."""

    try:
        server = await serve(
            nothing, host, port, create_connection=Bounded, process_request=answer, open_timeout=_OPEN_S
        )
    except OSError as error:
        raise UsageError(f"metrics: {host}:{port} can't be listened on: {error.strerror}") from error
    async with server:
        yield next(iter(server.sockets)).getsockname()[1]
