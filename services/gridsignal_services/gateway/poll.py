"""The wire of `/v1/poll`: one answer, which waits until there is something to say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gridsignal_schemas.frames import Frame
from gridsignal_services.gateway.event_stream import give_up_after
from gridsignal_services.gateway.http import refused, response
from gridsignal_services.gateway.hub import Batch
from gridsignal_services.gateway.poll_answer import PollAnswer
from gridsignal_services.gateway.rendering import Encoding
from gridsignal_services.gateway.wire import Heard, Message
from gridsignal_services.rest.problems import Problem, internal

if TYPE_CHECKING:
    from gridsignal_services.gateway.connection import Connection


class PollWire:
    """What is new, as soon as there is something, or a cursor alone when the time is over.

    Bounded: see PollAnswer; what the client sends is counted and dropped. When full: answered; the session closes.
    Conflates: nothing.
    """

    encoding: Encoding = "frames"

    def __init__(
        self,
        connection: Connection,
        dead_after_s: float,
        wait_s: float,
        polls: set[PollWire],
        headers: dict[str, str],
    ) -> None:
        """`headers` go with the answer, whatever it is."""
        self._connection, self._headers = connection, headers
        give_up_after(connection, dead_after_s)
        self._polls = polls
        """Those of its organisation: it is one of them until its answer is read or its socket is gone."""
        polls.add(self)
        self._answer = PollAnswer()
        self._is_dirty = self._is_given = False
        self._until = asyncio.get_running_loop().call_later(wait_s, self._time_is_over)
        connection.collect_with(self)

    # --- what its connection would send --------------------------------------------------------------------------

    def collect(self, batch: Batch) -> None:
        self._answer.add(batch.messages)
        self._has_more()

    def collect_frame(self, frame: Frame) -> None:
        self._answer.add_frame(frame)
        self._has_more()

    def _has_more(self) -> None:
        if not self._is_dirty:
            self._is_dirty = True
            self._connection.wrote()

    def settle(self) -> None:
        """The end of a tick: what came together is answered together."""
        self._is_dirty = False
        if self._answer.is_complete:
            self._give()
        elif self._answer.is_long and self._connection.takes_more and not self._is_given:
            self._give_part()

    def _time_is_over(self) -> None:
        self._answer.is_over = True
        self.settle()

    def _give(self) -> None:
        if self._is_given:
            return
        self._is_given = True
        self._wait_for_the_reader()
        try:
            body = self._answer.body()
        except Problem as problem:
            self._refuse(problem)
        else:
            if self._answer.has_begun:
                self._connection.say_last(body)
            else:
                self._connection.respond(response(200, "application/json", body, **self._headers))

    def _give_part(self) -> None:
        """Of a long answer; its length nobody knows yet, so the connection's end is its end."""
        begun = b""
        if not self._answer.has_begun:
            self._wait_for_the_reader()
            begun = response(200, "application/json", None, **self._headers).serialize()
        self._connection.write_at_once(begun + self._answer.part())

    def _wait_for_the_reader(self) -> None:
        give_up_after(self._connection, 0)  # not the system, which takes a window that opens seldom for a dead peer

    def _refuse(self, problem: Problem) -> None:
        if self._answer.has_begun:  # what was given is cut short, and so no JSON: the caller asks again and is told
            self._connection.stop()
            self._connection.finish()
        else:
            self._connection.respond(refused(problem, **self._headers))

    # --- the wire ------------------------------------------------------------------------------------------------

    def receive(self, piece: bytes) -> Iterator[Message]:
        yield Heard.NOTHING

    def receive_eof(self) -> bool:
        """Who sends nothing more may still read, or has hung up: it gets the first answer there is."""
        self._time_is_over()
        return not self._is_given

    def lost(self) -> None:
        self._until.cancel()
        self._polls.discard(self)

    def ping(self) -> None:
        self._connection.sign_of_life()

    def said(self, frame: Frame) -> None:
        """An error is in the answer."""

    def close(self, code: int, reason: str) -> None:
        """Answers with what can be gone on from, or to ask again: who may not is told why then."""
        self._give()

    def fail(self, code: int, reason: str) -> None:
        self._is_given = True
        self._refuse(internal())
