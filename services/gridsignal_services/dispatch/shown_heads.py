"""The signed heads that a door shows, and the ways between them, from the hashes that are kept beside the log.

A head's size and a record's offset count what everybody wrote who shares the partition (ADR 28). So they are shown
late, when what was asked for in the meantime is decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from gridsignal_schemas.evidence import Evidence, Extension, ProvedRecord
from gridsignal_schemas.messages import TreeHead
from gridsignal_services.audit.evidence import proved
from gridsignal_services.audit.subtrees import FOLDER, Subtrees
from gridsignal_services.bus import Log, LogRecord
from gridsignal_services.bus.between import read_between
from gridsignal_services.bus.codec import Codec, Poison, schema_id_of
from gridsignal_services.ledger.tree import leaf_of
from gridsignal_services.merkle import consistency_path, inclusion_path
from gridsignal_services.tree_heads import is_signed
from gridsignal_services.work import Work

LATE_S = 86_400
MOST_BACK = 65_536
"""Records that are looked through for heads, from the newest back."""
_BLOCK = 1000
_READERS = 2


class Changed(Exception):
    """A record on the log is not the one that was logged."""


class ShownHeads:
    """Heads of one log. Bounded: MOST_BACK records an answer, two answers at once. When full: what lies further back is
    not found; the third waits. Conflates: nothing."""

    def __init__(self, log: Log, codec: Codec, directory: Path, late_s: int = LATE_S) -> None:
        """`directory` has the hashes, which `TreeKeeper` writes: what they don't reach yet is not shown."""
        self.late_s = late_s
        self.log, self.codec = log, codec
        self._folder = directory / FOLDER / log.epoch
        self._turns = asyncio.Semaphore(_READERS)

    async def newest(self, partition: int, until_us: int | None, limit: int, work: Work) -> list[TreeHead]:
        """The newest that hold, the newest first, of those logged before a time by the log's clock. Raises
        LogUnavailable, and PositionGone where retention went by meanwhile."""
        async with self._turns:
            log = self.log
            ends = await (log.end_positions("dispatch") if until_us is None else log.position_at("dispatch", until_us))
            end = ends[partition]
            first = max((await self.log.start_positions("dispatch"))[partition], end - MOST_BACK)
            found: list[TreeHead] = []
            while end > first and len(found) < limit:
                start = max(first, end - _BLOCK)
                some = await self._logged(partition, start, end)
                found += await work.each_away(self._holding(partition, some[::-1]))
                end = start
            return found[:limit]

    async def has(self, partition: int, size: int, work: Work) -> bool:
        """Whether a head of this size was signed: it is logged soon after what it covers. A way to any other size would
        show the hashes of single records. Raises LogUnavailable, PositionGone."""
        async with self._turns:
            end = min(size + _BLOCK, (await self.log.end_positions("dispatch"))[partition])
            some = await self._logged(partition, size, end) if size < end else []
            heads = await work.each_away(self._holding(partition, some))
            return any(head.size == size for head in heads)

    async def chain(self, heads: Sequence[TreeHead], since: int | None, work: Work) -> list[Evidence]:
        """Each head with the way to the one after it, the last with the way to that size."""
        sizes = [*(head.size for head in heads[1:]), since][: len(heads)]
        return await work.each_away(self._extending(heads, sizes))

    async def proof(self, logged: LogRecord, head: TreeHead, since: int | None, work: Work) -> Evidence:
        """A record that lies under the head. Raises Changed."""
        return await work.away(self._proof, logged, head, since)

    async def _logged(self, partition: int, start: int, end: int) -> list[LogRecord]:
        framings, some = self.codec.framings_of(TreeHead), list[LogRecord]()

        def take(logged: LogRecord) -> None:
            if logged.value[:5] in framings:
                some.append(logged)

        await read_between(self.log, "dispatch", {partition: start}, {partition: end}, take)
        return some

    def _holding(self, partition: int, records: Sequence[LogRecord]) -> Iterator[TreeHead]:
        """Those that are of this tree: of two owners one may have signed what did not come to be."""
        subtrees = Subtrees(self._folder, partition)
        for logged in records:
            try:
                head = self.codec.decode(logged.value)
            except Poison:
                continue
            if not isinstance(head, TreeHead) or head.partition != partition or head.size > subtrees.size:
                continue
            if is_signed(head) and subtrees.root(head.size).hex() == head.root:
                yield head

    def _extending(self, heads: Sequence[TreeHead], sizes: Sequence[int | None]) -> Iterator[Evidence]:
        for head, size in zip(heads, sizes, strict=True):
            yield Evidence(head=head, extends=self._extension(head, size, Subtrees(self._folder, head.partition)))

    @staticmethod
    def _extension(head: TreeHead, size: int | None, subtrees: Subtrees) -> Extension | None:
        if size is None:
            return None
        path = consistency_path(size, head.size, subtrees.full)
        return Extension(size=size, path=[each.hex() for each in path])

    def _proof(self, logged: LogRecord, head: TreeHead, since: int | None) -> Evidence:
        subtrees = Subtrees(self._folder, head.partition)
        if leaf_of(logged) != subtrees.leaf(logged.offset):
            raise Changed
        path = inclusion_path(logged.offset, head.size, subtrees.full)
        return Evidence(head=head, record=self._proved(logged, path), extends=self._extension(head, since, subtrees))

    def _proved(self, logged: LogRecord, path: list[bytes]) -> ProvedRecord:
        try:
            schema = self.codec.schema_text(schema_id_of(logged.value))
        except (Poison, KeyError):
            schema = None
        return proved(logged, path, schema)
