"""Checkpoints of one process: which are kept, which fit, and what is taken over at a start."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

from gridsignal_schemas.catalog import TOPICS
from gridsignal_services.bus import Log, LogConfigurationError, LogRecord, PositionGone
from gridsignal_services.bus.between import read_between
from gridsignal_services.bus.flock import claim, release
from gridsignal_services.checkpoints.code import code_digest
from gridsignal_services.checkpoints.files import Found, Head, Unfit, digest_of, files_in, write
from gridsignal_services.checkpoints.lines import Piece, ledger_of, pieces_of
from gridsignal_services.clock import steady_s
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.telemetry import logger

_log = logger("checkpoints")
_DISPATCH = TOPICS["dispatch"]
EVERY = 2000
"""Records of a partition between two checkpoints of it."""
_SELDOM = 25
"""While a long log is read for the first time, so many times more."""
_SOONER = 20
"""At an orderly end, so many times fewer: what is left is reduced in less time than a file takes."""
_BREATH_S = 0.002
"""How long copying may keep the event loop before others get a turn."""


class Checkpoints:
    """Those of one process, in a directory of its own.

    Bounded: on disk by `kept` files of each partition; in memory by a copy of what one partition has live. When full:
    the oldest file goes. Conflates: positions that come while one is written.
    """

    def __init__(self, directory: Path, kept: int, log: Log, every: int, lock: int, now_s: Callable[[], float]) -> None:
        """Use `opened`."""
        self._now_s = now_s
        self.directory = directory
        self._kept, self._every, self._log, self._lock = kept, every, log, lock
        self._taken: defaultdict[int, int] = defaultdict(int)
        self._is_given_up = False
        self.stamp = json.dumps([log.epoch, _DISPATCH.name, _DISPATCH.partitions, code_digest()])
        """Of which log they are, and by which code."""

    @classmethod
    @contextlib.contextmanager
    def opened(
        cls, directory: Path, kept: int, log: Log, *, every: int = EVERY, now_s: Callable[[], float] = steady_s
    ) -> Iterator[Self | None]:
        """For as long as the block runs. None where none are to be kept or can be: a start reads the whole log."""
        checkpoints = cls._open(directory, kept, log, every, now_s) if kept else None
        try:
            yield checkpoints
        finally:
            if checkpoints is not None:
                release(checkpoints._lock)

    @classmethod
    def _open(cls, directory: Path, kept: int, log: Log, every: int, now_s: Callable[[], float]) -> Self | None:
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            directory.chmod(0o700)
            lock = claim(directory / "lock")
        except (OSError, LogConfigurationError) as error:
            _log.warning("no checkpoints: each start reads the whole dispatch stream", reason=str(error))
            return None
        for draft in directory.glob("*.draft"):
            with contextlib.suppress(OSError):  # such as a folder of that name: it is in nobody's way
                draft.unlink()
        return cls(directory, kept, log, every, lock, now_s)

    # --- at a start ----------------------------------------------------------------------------------------------

    async def restored(self, ends: Mapping[int, int], reach: Mapping[int, int]) -> dict[int, Ledger]:
        """For each partition that has one the newest ledger that fits, not beyond `reach`.

        `ends` are the log's. A file that does not fit is said in the log, and goes. Raises LogUnavailable.
        """
        began, found = self._now_s(), await asyncio.to_thread(self._found)
        for partition, files in found.items():
            for file in [file for file in files if file.head.position > ends.get(partition, 0)]:
                files.remove(file)
                self._drop(file.path, "it is of a longer log")
            found[partition] = [file for file in files if file.head.position <= reach.get(partition, 0)]
        ledgers: dict[int, Ledger] = {}
        while newest := {partition: files[-1] for partition, files in found.items() if files}:
            last = await self._last_of({partition: file.head.position for partition, file in newest.items()})
            for partition, file in newest.items():
                found[partition].pop()
                ledger = None
                if last.get(partition) == file.head.last:
                    ledger = await asyncio.to_thread(self._ledger, file)
                else:
                    self._drop(file.path, "it is of another log")
                if ledger is not None:
                    ledgers[partition] = ledger
                    found[partition].clear()
        self._taken = defaultdict(int, {partition: ledger.position for partition, ledger in ledgers.items()})
        if ledgers:
            took_s, positions = round(self._now_s() - began, 2), {at: of.position for at, of in ledgers.items()}
            _log.info("checkpoints taken over", positions=positions, seconds=took_s)
        return ledgers

    def _found(self) -> dict[int, list[Found]]:
        """What is of this log and code, the newest of each partition last."""
        found: dict[int, list[Found]] = defaultdict(list)
        for path in files_in(self.directory):
            try:
                file = Found.at(path)
                if file.head.stamp != self.stamp:
                    raise Unfit("it is of another log, or of another version of this program")
            except (Unfit, OSError) as unfit:
                self._drop(path, str(unfit))
            else:
                found[file.head.partition].append(file)
        return found

    async def _last_of(self, positions: Mapping[int, int]) -> dict[int, str]:
        """The digest of the record before each position, as the log has it now."""
        found: dict[int, str] = {}

        def take(record: LogRecord) -> None:
            found[record.partition] = digest_of(record)

        with contextlib.suppress(PositionGone):
            await read_between(self._log, "dispatch", {at: end - 1 for at, end in positions.items()}, positions, take)
        return found

    def _ledger(self, file: Found) -> Ledger | None:
        try:
            return ledger_of(file.head.partition, file.head.position, file.lines())
        except Unfit as unfit:
            self._drop(file.path, str(unfit))
            return None
        except Exception as error:  # whatever it is that this code can't read: it costs a replay
            self._drop(file.path, f"{type(error).__name__}: {error!s:.200}")
            return None

    def _drop(self, path: Path, reason: str) -> None:
        _log.warning("a checkpoint is not used: what it holds is read from the log", file=path.name, reason=reason)
        with contextlib.suppress(OSError):
            path.unlink()

    # --- while records are reduced -------------------------------------------------------------------------------

    def wants(self, ledger: Ledger, *, caught_up: bool, at_end: bool = False) -> bool:
        """Whether it is time for the next checkpoint of a partition; `at_end`: there will be none after it."""
        every = self._every if caught_up else _SELDOM * self._every
        if at_end:
            every = max(1, self._every // _SOONER)
        return ledger.position - self._taken[ledger.partition] >= every

    async def hold(self, ledger: Ledger) -> list[Piece]:
        """A copy of the state, made in slices: until it is made the ledger must not reduce anything."""
        self._taken[ledger.partition] = ledger.position
        held, breath = [], self._now_s() + _BREATH_S
        for piece in pieces_of(ledger):
            held.append(piece)
            if self._now_s() > breath:
                await asyncio.sleep(0)
                breath = self._now_s() + _BREATH_S
        return held

    async def write(self, pieces: list[Piece], last: LogRecord) -> None:
        """Writes what was held when `last` was the last record, beside the event loop. What fails is tried later."""
        head = Head(last.partition, last.offset + 1, digest_of(last), self.stamp)
        try:
            await asyncio.to_thread(self._write, head, pieces)
        except OSError as error:
            _log.warning("a checkpoint could not be written", partition=last.partition, reason=str(error))

    def give_up(self) -> None:
        """What is being written, is not: the process ends."""
        self._is_given_up = True

    def _unless_given_up(self, pieces: list[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if self._is_given_up:
                raise OSError("there is no time for it: the process ends")
            yield piece

    def _write(self, head: Head, pieces: list[Piece]) -> None:
        write(self.directory, head, self._unless_given_up(pieces))
        for path in files_in(self.directory, head.partition)[: -self._kept]:
            path.unlink(missing_ok=True)
