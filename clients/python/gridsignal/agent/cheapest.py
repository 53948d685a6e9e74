"""The cheapest schedule of each job by itself, exactly: a dynamic program over quarter hours and work done. Pure.

    run(t, k)  = min over levels l of  cost(t, l) + from(t, k - units(l))
    from(t, k) = min(run(t-1, k), rest(t-1, k + lost) + pause(t)), and 0 where nothing is begun
    rest(t, k) = min(rest(t-1, k), run(t-1, k))

where a job that may not be paused rests only before it starts and after it is done. Jobs of the same speeds and the
same loss are stepped together. Bounded: CELLS at once; more jobs are taken in groups.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from gridsignal.agent.workload import UNITS, Floats, Ints, Workload

CELLS = 20_000_000
"""Jobs x quarter hours x units of work in a table."""
Levels = npt.NDArray[np.int8]
"""(jobs, quarter hours): the level each runs at, REST where it does not."""
REST = -1
_Table32 = npt.NDArray[np.float32]
_RAN, _RESTED, _FRESH = 0, 1, 2  # a comparison is one of the first two
"""What a quarter hour of work follows on."""


def cheapest(work: Workload, rows: Ints, cost: Floats, room_w: Floats | None = None) -> tuple[Levels, Floats]:
    """The cheapest levels of these jobs and what they cost; infinity where a job can't be done in time.

    `cost` is per watt and quarter hour; `room_w`, where it is given, is the most that each job may draw then.
    """
    levels, costs = np.full((len(rows), len(cost)), REST, dtype=np.int8), np.zeros(len(rows))
    for group in _groups(work, rows, len(cost)):
        levels[group], costs[group] = _Table(work, rows[group]).solve(cost, room_w)
    return levels, costs


def _groups(work: Workload, rows: Ints, slots: int) -> Iterator[Ints]:
    """Places in `rows` that go together: of the same speeds and loss, of about the same work."""
    alike = defaultdict[tuple[int, ...], list[int]](list)
    for place in np.argsort(work.need[rows], kind="stable"):
        row = rows[place]
        alike[*work.units[row].tolist(), int(work.lost[row])].append(int(place))
    for places in alike.values():
        at = 0
        while at < len(places):
            widest = int(work.need[rows[places[at]]]) * 3 // 2 + 4 * UNITS
            most = max(1, CELLS // (slots * widest))
            group = [place for place in places[at : at + most] if work.need[rows[place]] <= widest]
            yield np.array(group, dtype=np.int64)
            at += len(group)


class _Table:
    """The program for one group of jobs. Column c stands for work done, `goal` and beyond for all of it."""

    def __init__(self, work: Workload, rows: Ints) -> None:
        pausable = np.array([work.jobs[row].pausable for row in rows], dtype=np.bool_)
        self.rests = bool((pausable | work.begun[rows]).any())
        lost = int(work.lost[rows[0]]) if self.rests else 0
        step = math.gcd(lost, *work.units[rows[0]].tolist())
        self.lost = lost // step
        self.levels = [(level, int(units) // step) for level, units in enumerate(work.units[rows[0]]) if units]
        self.watts, self.pause_w = work.watts[rows].astype(np.float32), work.pause_w[rows][:, None].astype(np.float32)
        self.running, self.begun = work.running[rows], work.begun[rows]
        self.first, self.last = work.first[rows], work.last[rows]
        need = -(-work.need[rows] // step)
        self.goal = int(need.max()) + self.lost
        self.width = self.goal + UNITS // step
        self.start = self.goal - need
        """The column of nothing done; what a pause loses may lead below it."""
        self.stop = np.where(pausable, 0.0, np.inf)[:, None].astype(np.float32)
        self.every = np.arange(len(rows))

    def solve(self, cost: Floats, room_w: Floats | None) -> tuple[Levels, Floats]:
        opens, closes = int(self.first.min()), min(len(cost), int(self.last.max()))
        shape = (max(0, closes - opens), len(self.every), self.width)
        took, rested = np.full(shape, REST, dtype=np.int8), np.zeros(shape, dtype=np.bool_)
        after = np.zeros((*shape[:2], self.goal), dtype=np.int8)
        run, rest = (np.full(shape[1:], np.inf, dtype=np.float32) for _ in range(2))
        run[self.every[self.running], self.start[self.running]] = 0.0
        rest[self.every[self.begun], self.start[self.begun]] = 0.0
        fresh = ~(self.running | self.begun)
        for step in range(shape[0]):
            slot = opens + step
            source = self._source(run, rest, fresh, cost[slot], after[step])
            stopped = run[:, 0 if self.rests else self.goal :]
            if self.rests:
                stopped = stopped.copy()
                stopped[:, : self.goal] += self.stop
            waits = rest[:, -stopped.shape[1] :]
            np.less(stopped, waits, out=rested[step][:, -stopped.shape[1] :])
            np.minimum(waits, stopped, out=waits)
            room = np.inf if room_w is None else room_w[slot]
            run = self._run(source, cost[slot], (self.first <= slot) & (slot < self.last), room, took[step])
        ends = np.minimum(rest, run)[:, self.goal :]
        best = ends.argmin(axis=1)
        levels = np.full((len(self.every), len(cost)), REST, dtype=np.int8)
        levels[:, opens:closes] = self._traced(best + self.goal, run, rest, (took, rested, after))
        return levels, ends[self.every, best].astype(np.float64)

    def _source(
        self, run: _Table32, rest: _Table32, fresh: npt.NDArray[np.bool_], cost: float, after: Levels
    ) -> _Table32:
        """What it cost so far to go on from each column; `after` says what that follows on."""
        source = run[:, : self.goal].copy()
        if self.rests:
            most = self.goal - self.lost  # what is done is not begun again
            resumed = rest[:, self.lost : self.goal] + self.pause_w * np.float32(cost)
            np.less(resumed, source[:, :most], out=after[:, :most], casting="unsafe")
            np.minimum(source[:, :most], resumed, out=source[:, :most])
        begins = fresh & (source[self.every, self.start] > 0)
        source[self.every[begins], self.start[begins]] = 0.0
        after[self.every[begins], self.start[begins]] = _FRESH
        return source

    def _run(
        self, source: _Table32, cost: float, is_open: npt.NDArray[np.bool_], room: float, took: Levels
    ) -> _Table32:
        """What it costs to have run in this quarter hour; `took` says at which level."""
        run = np.full((len(self.every), self.width), np.inf, dtype=np.float32)
        for level, units in self.levels:
            watts = self.watts[:, level]
            price = np.where(is_open & (watts <= room), watts * cost, np.inf).astype(np.float32)
            total = source + price[:, None]
            reached = run[:, units : units + self.goal]
            np.copyto(took[:, units : units + self.goal], np.int8(level), where=total < reached)
            np.minimum(reached, total, out=reached)
        return run

    def _traced(
        self, column: Ints, run: _Table32, rest: _Table32, table: tuple[Levels, npt.NDArray[np.bool_], Levels]
    ) -> Levels:
        """The levels that lead to these columns at the end, back from the last quarter hour."""
        took, rested, after = table
        levels = np.full((len(self.every), len(took)), REST, dtype=np.int8)
        units = np.zeros(self.watts.shape[1], dtype=np.int64)
        units[[level for level, _ in self.levels]] = [each for _, each in self.levels]
        runs = run[self.every, column] < rest[self.every, column]
        done = np.isinf(np.minimum(run, rest)[self.every, column])
        for step in range(len(took) - 1, -1, -1):
            working = runs & ~done
            level = np.where(working, took[step, self.every, column], REST)
            levels[:, step] = level
            stopped = ~runs & ~done & rested[step, self.every, column]
            came = column - np.where(working, units[np.maximum(level, 0).astype(np.int64)], 0)
            follows = np.where(working, after[step, self.every, np.minimum(came, self.goal - 1)], _RAN)
            column = came + np.where(working & (follows == _RESTED), self.lost, 0)
            done |= working & (follows == _FRESH)
            runs = np.where(working, follows == _RAN, stopped)
        return levels
