"""The owner of zones: writes the announcements, clearings and timers that the ledger says are due, and tree heads.

An owner decides nothing itself: what to append is in `due`, whether it counts is the reduce's to say. Two owners at
once do no harm: the first valid record counts, the other's is ignored by everyone.

A clearing may take a second: it is made beside the loop, from the book as it was when its turn came, while everything
else goes on. What was logged meanwhile is what the reduce checks it against; one that is overtaken is made anew.
Nobody puts it off for ever (`ledger.overtaken` says after how many): each one that is overtaken leaves less to overtake
the next, and where nothing is left the request is cleared without an award. Meanwhile it rests, and every request that
was not overtaken comes before it: who is in the way of one holds up no other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from gridsignal_schemas.messages import Clearing, Record, TimerFired
from gridsignal_services.bus import Election, LogUnavailable
from gridsignal_services.clock import Clock
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.excerpt import excerpt
from gridsignal_services.ledger.overtaken import NOTHING, LeftOut, Overtaken
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.metering.readings import ReadingsReader
from gridsignal_services.owning.best import Solver
from gridsignal_services.owning.crossing import Crossing, owed_across
from gridsignal_services.owning.due import (
    AT_ONCE,
    PassedOver,
    Subject,
    Undecidable,
    Undecided,
    awaiting_baselines,
    next_due,
    next_step,
    next_undecided,
    subject_of,
    waiting_for_clearing,
    why,
)
from gridsignal_services.owning.heads import Heads
from gridsignal_services.owning.settler import OrdersThatLeft, Settler
from gridsignal_services.replica import Replica
from gridsignal_services.telemetry import Outage, logger

_log = logger("owner")
_PRINCIPAL = "service:dispatch"
_RETRY_S = 0.5
_COVER_S = 2.0
"""How long an orderly end waits for its tree heads."""
_IN_ONE_PASS = 4
"""Of them encoded in one pass of the event loop, about a millisecond: others go on in between."""
_NOT_YET = timedelta(milliseconds=10)
"""A timer that came too early is repeated no sooner than this."""
_TRUSTED_S = 30.0
"""How long a comparison of our clock with the log's is believed: either may be set."""


class _Ahead(NamedTuple):
    """How far our clock was ahead of a partition's log."""

    by: timedelta
    until: float
    """By the event loop's time."""


@dataclass(slots=True)
class _Attempts:
    """The clearings made for one request at one turn of its life, none of which held."""

    overtaken: Overtaken = field(default_factory=Overtaken)
    again_at: float = 0.0
    """The next is made from then on, by the event loop's time."""


class Owner:
    """Acts on the partitions that an election gives it: all in the embedded stack, some of them on Kafka.

    Bounded: one entry for each subject that can't be written or was overtaken; they are no more than the ledger holds.
    """

    def __init__(
        self,
        replica: Replica,
        clock: Clock,
        election: Election,
        heads: Heads | None = None,
        meters: ReadingsReader | None = None,
        left: OrdersThatLeft | None = None,
        solver: Solver | None = None,
    ) -> None:
        """Without `heads` it writes none, without `meters` it settles nothing, without `left` nothing that left, and
        without `solver` it clears in merit order."""
        self._solver = solver
        self._replica, self._clock, self._election, self._heads = replica, clock, election, heads
        self._settler = None if meters is None else Settler(replica, meters, self._append, self._pass_over, left)
        self.partitions: frozenset[int] = frozenset()
        """Those it acts on now."""
        self._ahead: dict[int, _Ahead] = {}
        self._passed_over: dict[int, PassedOver] = {}
        self._clearing_thread = ThreadPoolExecutor(1, "clearing")
        """Its own: a solver takes a second, and the threads of answers are for milliseconds."""
        self._clearing_turn = asyncio.Lock()
        """One clearing at a time, of all partitions: each is made from the book as it is when its turn comes."""
        self._decisions: dict[int, asyncio.Task[None]] = {}
        """The clearing under way on a partition."""
        self._under_way: dict[int, Subject] = {}
        """What that clearing is about."""
        self._attempts: dict[int, dict[Subject, _Attempts]] = {}
        """By partition, at what still waits for a clearing."""
        self._has_told: set[int] = set()
        """The partitions where nothing but announcements was written last."""
        self._looked_at = 0.0
        """When it last looked at what is due, by the event loop's time."""
        self._rests_at: dict[int, int] | None = None
        """The positions it has looked at and found nothing to do; None while it acts."""

    @property
    def at_rest(self) -> bool:
        """Whether it waits, and nothing was reduced that it has not looked at."""
        return self._rests_at == self._replica.positions and (self._settler is None or self._settler.at_rest)

    async def run(self) -> None:
        """Acts for ever, from the moment the replica has caught up."""
        await self._replica.caught_up()
        try:
            await self._act_for_ever()
        finally:
            await _end([*self._decisions.values(), *([] if self._settler is None else self._settler.under_way)])
            self._clearing_thread.shutdown(wait=False, cancel_futures=True)

    async def _act_for_ever(self) -> None:
        outage = Outage(_log, "log", doing="the owner's records")
        while True:
            self._looked_at = asyncio.get_running_loop().time()
            try:
                await self._take_over()
                acted = [await self._act(self._replica.ledgers[partition]) for partition in sorted(self.partitions)]
            except LogUnavailable as away:
                outage.say(away)
                await asyncio.sleep(_RETRY_S)
                continue
            outage.over()
            if not any(acted):
                await self._wait()

    async def _take_over(self) -> None:
        """Reduces what the owner before it wrote, and only then acts."""
        mine = self._election.mine
        if fresh := mine - self.partitions:
            await self._replica.reach_end(fresh)
        if mine != self.partitions:
            _log.info("owns", partitions=sorted(mine))
        if self._settler is not None:
            self._settler.take_over(mine)
        self.partitions = mine

    async def _act(self, ledger: Ledger) -> bool:
        """Appends what is due on one partition; False when nothing was."""
        passed_over = self._passed_over.setdefault(ledger.partition, {})
        has_told = ledger.partition in self._has_told
        step = next_step(ledger, self._log_time(ledger), passed_over, has_told=has_told)
        if step.is_telling:
            self._has_told.add(ledger.partition)
        else:
            self._has_told.discard(ledger.partition)
            self._go_on_deciding(ledger, passed_over)
        if self._settler is not None:
            self._settler.go_on(ledger, passed_over)
        for start in range(0, len(step.records), AT_ONCE):
            if not await self._append(ledger, step.records[start : start + AT_ONCE]):
                break
        crossing = await self._append_what_others_owe(ledger, passed_over)
        return await self._append_head(ledger) or crossing or bool(step.records)

    async def _append_what_others_owe(self, ledger: Ledger, passed_over: PassedOver) -> bool:
        """Appends what other partitions owe this one; False when nothing was."""
        owed = owed_across(self._replica.ledgers, ledger.partition)
        records = list(islice((each for each in owed if subject_of(ledger, each) not in passed_over), AT_ONCE))
        await self._append(ledger, records)
        return bool(records)

    async def cover(self) -> None:
        """Writes the heads of what is new, if that takes little time: before an orderly end, while `run` goes on."""
        with contextlib.suppress(LogUnavailable, TimeoutError):
            async with asyncio.timeout(_COVER_S):
                for partition in sorted(self.partitions):
                    await self._append_head(self._replica.ledgers[partition], at_once=True)

    async def _append_head(self, ledger: Ledger, *, at_once: bool = False) -> bool:
        """Appends the partition's tree head if one is due, or at once if anything is new; False when none was."""
        heads = self._heads
        if heads is None or (due_s := heads.due_s(ledger, now_s := asyncio.get_running_loop().time())) is None:
            return False
        if due_s > now_s and not at_once:
            return False
        await self._replica.whole()
        head = heads.head_of(ledger)
        outcome = await self._replica.submit(head, _PRINCIPAL, partition=ledger.partition)
        if not outcome.accepted:
            heads.begin_again(ledger)
            _log.warning("tree head not valid", partition=ledger.partition, reason=outcome.faults[0].message)
        return True

    def _go_on_deciding(self, ledger: Ledger, passed_over: PassedOver) -> None:
        """Begins the next clearing, one at a time. Raises LogUnavailable where the last could not be logged."""
        decision = self._decisions.get(ledger.partition)
        if decision is not None and decision.done():
            del self._decisions[ledger.partition]
            decision.result()
            decision = None
        if decision is None and self._next_undecided(ledger, passed_over) is not None:
            self._decisions[ledger.partition] = asyncio.create_task(self._decide(ledger, passed_over))

    async def _decide(self, ledger: Ledger, passed_over: PassedOver) -> None:
        try:
            async with self._clearing_turn:
                clearing = await self._made(ledger, passed_over)
        except Undecidable as error:
            self._pass_over(ledger, error.subject, error.reason)
        else:
            await self._append(ledger, [] if clearing is None else [clearing])

    async def _made(self, ledger: Ledger, passed_over: PassedOver) -> Clearing | None:
        """The next clearing, made beside the loop; None where none waits. Raises Undecidable."""
        await self._replica.whole()
        undecided = self._next_undecided(ledger, passed_over)
        if undecided is None:
            return None
        self._under_way[ledger.partition] = undecided.subject
        held, left_out = excerpt(ledger.book, undecided.request_id), self._left_out(ledger, undecided.subject)
        made = partial(undecided.decided, held, left_out, self._paced_solver())
        return await asyncio.get_running_loop().run_in_executor(self._clearing_thread, made)

    def _paced_solver(self) -> Solver | None:
        grid = self._replica.grid
        return self._solver if self._solver is None or grid is None else self._solver._replace(pace=grid.rate)

    def _next_undecided(self, ledger: Ledger, passed_over: PassedOver) -> Undecided | None:
        """What was not overtaken yet, else what has rested since."""
        now, attempts = self._log_time(ledger), self._attempts.get(ledger.partition, {})
        passed_over = passed_over | dict.fromkeys(self._awaiting_baselines(ledger, now))
        undecided = next_undecided(ledger, now, passed_over.keys() | attempts.keys())
        if undecided is not None or not attempts:
            return undecided
        resting = {subject for subject, made in attempts.items() if made.again_at > self._looked_at}
        return next_undecided(ledger, now, passed_over.keys() | resting)

    def _awaiting_baselines(self, ledger: Ledger, now: datetime) -> dict[Subject, datetime]:
        if self._settler is None:
            return {}
        return awaiting_baselines(ledger, now, self._passed_over.get(ledger.partition, {}))

    def _left_out(self, ledger: Ledger, subject: Subject) -> LeftOut:
        attempts = self._attempts.get(ledger.partition, {}).get(subject)
        if attempts is None:
            return NOTHING
        left_out = attempts.overtaken.left_out()
        if left_out != NOTHING:
            named = {"offers": len(left_out.offers), "participants": sorted(left_out.participants)}
            _log.warning("left out of a clearing", subject="/".join(subject), **named)
        return left_out

    async def _append(self, ledger: Ledger, batch: Sequence[Record]) -> bool:
        """Appended in this order and waited for together; False where the log's clock is not there yet.

        One by one, a busy gate would leave the owner behind.
        """
        submitted = (self._submit(record, number // _IN_ONE_PASS) for number, record in enumerate(batch))
        outcomes = await asyncio.gather(*submitted, return_exceptions=True)
        for record, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, ValueError) and not isinstance(record, TimerFired):
                self._pass_over(ledger, subject_of(ledger, record), why(outcome))
            elif isinstance(outcome, BaseException):
                raise outcome
            elif isinstance(record, Clearing):
                self._cleared(ledger, record, outcome)
            elif isinstance(record, Crossing) and not outcome.accepted:  # another owner was faster, or a defect
                passed_over = self._passed_over[ledger.partition]
                passed_over[subject_of(ledger, record)] = None
        early = any(isinstance(outcome, Outcome) and outcome.code == "TOO_EARLY" for outcome in outcomes)
        if early:
            by = max(self._clock.now() - ledger.book.now, _NOT_YET)
            self._ahead[ledger.partition] = _Ahead(by, asyncio.get_running_loop().time() + _TRUSTED_S)
        return not early

    def _cleared(self, ledger: Ledger, clearing: Clearing, outcome: Outcome) -> None:
        waiting, known = waiting_for_clearing(ledger), self._attempts.get(ledger.partition, {})
        attempts = {subject: made for subject, made in known.items() if subject in waiting}
        self._attempts[ledger.partition] = attempts
        if outcome.accepted:
            return
        # overtaken by what was logged meanwhile, or a defect: neither may fill the log
        made = attempts.setdefault(self._under_way[ledger.partition], _Attempts())
        made.overtaken.add(clearing, outcome.faults)
        made.again_at = asyncio.get_running_loop().time() + _RETRY_S
        _log.warning("clearing not valid", request_id=clearing.request_id, code=outcome.code)

    async def _submit(self, record: Record, after_passes: int) -> Outcome:
        for _ in range(after_passes):
            await asyncio.sleep(0)
        return await self._replica.submit(record, _PRINCIPAL)

    def _ahead_of(self, ledger: Ledger) -> timedelta:
        ahead = self._ahead.get(ledger.partition)
        if ahead is None or ahead.until <= asyncio.get_running_loop().time():
            return timedelta(0)
        return ahead.by

    def _log_time(self, ledger: Ledger) -> datetime:
        """Our clock, set back by what it is ahead of the log's: what comes too early fills the log."""
        return self._clock.now() - self._ahead_of(ledger)

    def _next_head_s(self, ledgers: Collection[Ledger]) -> float | None:
        if self._heads is None:
            return None
        now_s = asyncio.get_running_loop().time()
        return min((due for ledger in ledgers if (due := self._heads.due_s(ledger, now_s)) is not None), default=None)

    def _pass_over(self, ledger: Ledger, subject: Subject, reason: str) -> None:
        """One that can't be decided or written stops nobody else."""
        self._passed_over[ledger.partition][subject] = None
        _log.error("passed over: it can't be decided", subject="/".join(subject), reason=reason)

    async def _wait(self) -> None:
        """Until the log moves, a timer is due, a clearing is made or the election turns, whichever comes first."""
        ledgers = [self._replica.ledgers[partition] for partition in self.partitions]
        dues = [due + self._ahead_of(ledger) for ledger in ledgers if (due := next_due(ledger)) is not None]
        for ledger in ledgers:
            ends = self._awaiting_baselines(ledger, self._log_time(ledger)).values()
            dues += [until + self._ahead_of(ledger) for until in ends]
        causes = [self._replica.moved(), self._election.changed()]
        if dues:
            causes.append(self._clock.sleep_until(min(dues)))
        if any(self._ahead_of(ledger) for ledger in ledgers):
            causes.append(asyncio.sleep(_TRUSTED_S))
        attempts = [made for partition in self.partitions for made in self._attempts.get(partition, {}).values()]
        resting = [made.again_at for made in attempts if made.again_at > self._looked_at]
        if resting:
            causes.append(asyncio.sleep(max(0.0, min(resting) - asyncio.get_running_loop().time())))
        if (head_s := self._next_head_s(ledgers)) is not None:
            causes.append(asyncio.sleep(max(0.0, head_s - asyncio.get_running_loop().time())))
        decisions = [self._decisions[partition] for partition in self.partitions & self._decisions.keys()]
        if self._settler is not None:
            causes.append(self._settler.moved())
            decisions += self._settler.under_way
        waiting = [asyncio.ensure_future(cause) for cause in causes]
        self._rests_at = None if decisions or resting else self._replica.positions
        try:
            done, _ = await asyncio.wait([*waiting, *decisions], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._rests_at = None
            await _end(waiting)
        for cause in done.intersection(waiting):
            cause.result()


async def _end(tasks: Collection[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
