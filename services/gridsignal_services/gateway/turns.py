"""Whose turn it is on the event loop: a little of everybody's in each round, the modest before the greedy.

What clients send is worked off here and nowhere else, in slices. Nobody holds the loop for longer than a slice; who
has used more than a fair share of it comes after all others, and is then read only as fast as that goes. What a slice
causes later counts with it. Among the connections of one organisation those that had nothing to do come first: one
that asks now and then waits for none that never stops.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from typing import Protocol

from gridsignal_protocol.bucket import Bucket

_ROUND_S = 0.002
"""How much of one pass of the event loop goes into what clients sent."""
_PIECE_S = 0.001
"""What a task does in its turn."""
_CREDIT_S = 0.1
"""How much of its share somebody may save up."""
_OF_THE_OTHERS = 4
"""Each so manieth slice of a share is for the line that waits longest, whoever else has just come."""
_MOST_SHARES = 10_000


class Share:
    """The loop's time that an organisation, or everybody without a token together, may use before others come first.

    Who has used more comes last.
    """

    def __init__(self, of_the_loop: float, now_s: float) -> None:
        self.unanswered = 0
        """Writes and questions without an answer, over all its connections."""
        self._seconds = Bucket(of_the_loop, _CREDIT_S, now_s)

    def charge(self, spent_s: float, now_s: float) -> None:
        """So much was used for it."""
        self._seconds.take(now_s, spent_s)

    def is_modest(self, now_s: float) -> bool:
        """Whether it has used no more than its share."""
        return self._seconds.take(now_s, 0.0)


class Worker(Protocol):
    """What has something to do."""

    @property
    def share(self) -> Share:
        """At whose expense."""

    @property
    def line(self) -> object:
        """In whose line it waits: a connection."""

    def work(self) -> bool:
        """Does a slice of it; whether there is more."""

    def take_owed_s(self) -> float:
        """What the slice will take later, elsewhere."""


class _Queue:
    """All that waits at the expense of one share: a line for each connection, a slice for each in turn."""

    def __init__(self) -> None:
        self._lines: OrderedDict[object, OrderedDict[Worker, None]] = OrderedDict()
        """The line that had a slice longest ago first."""
        self._fresh: OrderedDict[object, None] = OrderedDict()
        """Those that have had none since they began to wait."""
        self._slices = 0
        self.workers = 0

    def add(self, worker: Worker) -> None:
        """Behind all that wait in its line; a line that was empty comes before those that never are."""
        if worker.line not in self._lines:
            self._fresh[worker.line] = None
        self.go_on(worker)

    def go_on(self, worker: Worker) -> None:
        """It has had its slice and has more to do."""
        line = self._lines.setdefault(worker.line, OrderedDict())
        self.workers += worker not in line
        line[worker] = None

    def pop(self) -> Worker:
        """Whose slice it is."""
        self._slices += 1
        fresh_first = self._fresh and self._slices % _OF_THE_OTHERS
        name = next(iter(self._fresh if fresh_first else self._lines))
        self._fresh.pop(name, None)
        line = self._lines[name]
        worker, _ = line.popitem(last=False)
        self.workers -= 1
        self._lines.move_to_end(name)
        if not line:
            del self._lines[name]
        return worker


class Turns:
    """All that waits for its turn, by share.

    Bounded: each connection waits once, each of its tasks once; shares of `_MOST_SHARES` organisations are remembered,
    the one that worked longest ago is forgotten. When full: whoever waits is not read. Conflates: nothing.
    """

    def __init__(self, of_the_loop: float) -> None:
        self.strangers = Share(of_the_loop, 0.0)
        self._of_the_loop = of_the_loop
        self._shares: OrderedDict[str, Share] = OrderedDict()
        self._waiting: dict[Share, _Queue] = {}
        self._round: asyncio.Handle | None = None

    def share_of(self, name: str) -> Share:
        """The share of an organisation, the same for all its connections."""
        share = self._shares.pop(name, None) or Share(self._of_the_loop, 0.0)
        self._shares[name] = share
        if len(self._shares) > _MOST_SHARES:
            self._shares.popitem(last=False)
        return share

    def waiting(self, share: Share) -> int:
        """How many workers wait at its expense."""
        return self._waiting[share].workers if share in self._waiting else 0

    def ask(self, worker: Worker) -> None:
        """The worker has something to do."""
        self._waiting.setdefault(worker.share, _Queue()).add(worker)
        if self._round is None:
            self._round = asyncio.get_running_loop().call_soon(self._go_round)

    async def turn(self, share: Share, line: object) -> None:
        """Returns when a piece of work of about a millisecond may be done at the expense of this share."""
        piece = _Piece(share, line)
        self.ask(piece)
        await piece.turn

    def stop(self) -> None:
        """Nothing more is done."""
        if self._round is not None:
            self._round.cancel()
        self._waiting.clear()

    def _go_round(self) -> None:
        self._round = None
        now_s = asyncio.get_running_loop().time()
        left_s = self._serve(now_s, _ROUND_S, modest=True)
        # a quarter is left to the greedy: they go on, only later
        self._serve(now_s, max(left_s, _ROUND_S / 4), modest=False)
        if self._waiting and self._round is None:
            self._round = asyncio.get_running_loop().call_soon(self._go_round)

    def _serve(self, now_s: float, left_s: float, *, modest: bool) -> float:
        """Gives each of the modest shares, or of the others, a slice in turn for so long; returns what is left."""
        turn = deque([share for share in self._waiting if share.is_modest(now_s) == modest])
        while turn and left_s > 0:
            share = turn.popleft()
            spent_s = self._slice(share)
            share.charge(spent_s, now_s)
            left_s -= spent_s
            if share in self._waiting and share.is_modest(now_s) == modest:
                turn.append(share)
        return left_s

    def _slice(self, share: Share) -> float:
        queue = self._waiting.pop(share)
        worker = queue.pop()
        if queue.workers:
            self._waiting[share] = queue  # behind those who had no turn in this round
        began_s = time.thread_time()
        if worker.work():
            self._waiting.setdefault(worker.share, queue if worker.share is share else _Queue()).go_on(worker)
        return time.thread_time() - began_s + worker.take_owed_s()


class _Piece:
    """A task's wait for its turn."""

    def __init__(self, share: Share, line: object) -> None:
        self.share, self.line = share, line
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def work(self) -> bool:
        if not self.turn.done():
            self.turn.set_result(None)
        return False

    def take_owed_s(self) -> float:
        return _PIECE_S
