"""Beside a running log its tree's hashes are kept up to each head, and an orderly end covers all that was said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from gridsignal_services.audit.keeping import TreeKeeper
from gridsignal_services.audit.subtrees import FOLDER, Subtrees
from gridsignal_services.owning.owner import Owner
from tests.builders import utc
from tests.integration.ledger.owner_stage import ALL, SoleCandidate, Stage, running
from tests.integration.ledger.test_heads_are_written import LATE_S, heads_of, heads_on
from tests.patience import SOON_S


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        for _ in iter(holds, True):
            await asyncio.sleep(0)


async def kept_with(stage: Stage, directory: Path) -> Subtrees:
    """The hashes of the partition, once they are those of its last head and nothing is new."""
    ledger = stage.replica.ledger_of("DE-LU")

    def kept() -> Subtrees:
        return Subtrees(directory / FOLDER / stage.log.epoch, ledger.partition)

    await until(lambda: not ledger.tree.has_news and kept().size == ledger.tree.covered)
    return kept()


async def test_hashes_are_kept_up_to_each_head_and_gone_on_with_after_a_restart(tmp_path: Path) -> None:
    heads = heads_of(tmp_path / "key", every_s=0.01, after_clearing_s=0.01)
    for who in ("acme", "volt"):
        async with running(tmp_path / "log", utc("16:00"), heads=heads) as stage:
            keeping = asyncio.create_task(TreeKeeper(stage.log, stage.replica, tmp_path).run())
            await stage.a_site(who, "DE-LU")
            kept = await kept_with(stage, tmp_path)
            last = heads_on(stage)[-1]
            assert kept.root(last.size).hex() == last.root
            keeping.cancel()


async def test_an_orderly_end_covers_what_no_head_was_due_for_yet(tmp_path: Path) -> None:
    heads = heads_of(tmp_path / "key", every_s=LATE_S, after_clearing_s=LATE_S)
    async with running(tmp_path / "log", utc("16:00")) as stage:
        await stage.a_site("acme", "DE-LU")
        owner = Owner(stage.replica, stage.clock, SoleCandidate(ALL), heads)
        acting = asyncio.create_task(owner.run())
        await until(lambda: owner.at_rest)
        assert heads_on(stage) == []
        await owner.cover()
        assert [head.size for head in heads_on(stage)] == [2]
        assert not stage.replica.ledger_of("DE-LU").tree.has_news
        await owner.cover()
        assert len(heads_on(stage)) == 1
        acting.cancel()
