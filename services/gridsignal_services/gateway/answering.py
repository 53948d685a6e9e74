"""Writes and questions under way: each is answered in a task of its own, and counted until it is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from gridsignal_protocol.server.events import Look, Publish
from gridsignal_schemas.frames import Refused
from gridsignal_services.event_log import EventLog
from gridsignal_services.gateway.connection import Connection, StartTask
from gridsignal_services.gateway.gauges import Gauges
from gridsignal_services.gateway.log_access import LogAccess
from gridsignal_services.gateway.turns import Turns


class Answering:
    """What clients have written or asked and have no answer to yet.

    Bounded: `offer_window` a connection; `organisation_unanswered`, and beyond it one slice of each connection.
    When full: refused with `rate`; a connection is not read. Conflates: nothing.
    """

    def __init__(self, log_access: LogAccess, turns: Turns, gauges: Gauges, events: EventLog, start: StartTask) -> None:
        self._log_access, self._turns, self._gauges, self._start = log_access, turns, gauges, start
        self._events = events

    def write(self, connection: Connection, asked: Publish) -> None:
        """Logs a record and answers."""
        self._begin(connection, self._write(connection, asked))

    def look(self, connection: Connection, asked: Look) -> None:
        """Answers a question, unless the connection ends before."""
        task = self._begin(connection, self._look(connection, asked))
        connection.looks.add(task)
        task.add_done_callback(connection.looks.discard)

    def _begin(self, connection: Connection, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        share = connection.share
        share.unanswered += 1

        def answered(_: asyncio.Task[None]) -> None:
            share.unanswered -= 1
            if not connection.waits_for_answers:
                connection.go_on_reading()

        task = self._start(connection, work)
        task.add_done_callback(answered)
        return task

    async def _write(self, connection: Connection, asked: Publish) -> None:
        assert connection.session is not None
        assert connection.session.principal is not None
        share, loop = connection.share, asyncio.get_running_loop()
        answer = await self._log_access.write(
            asked, connection.session.principal, connection.turn, lambda spent_s: share.charge(spent_s, loop.time())
        )
        self._gauges.answers.labels(answer.code if isinstance(answer, Refused) else "received").inc()
        if isinstance(answer, Refused):
            by, ids = (
                connection.session.principal.name,
                {"offer_id": answer.offer_id, "response_id": answer.response_id},
            )
            self._events.tell("write_refused", by, code=answer.code, **ids)
        connection.session.answer(answer)
        connection.tell()

    async def _look(self, connection: Connection, asked: Look) -> None:
        assert connection.session is not None
        assert connection.session.principal is not None
        turn = partial(self._turns.turn, connection.share, connection)
        answer = await self._log_access.look(asked.query, connection.session.principal, asked.site, turn)
        connection.session.answer(answer)
        connection.tell()
