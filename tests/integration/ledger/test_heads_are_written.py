"""A running owner writes signed heads of its partitions' trees, which hold, and nothing where nothing is new."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from gridsignal_schemas.messages import Clearing, TreeHead
from gridsignal_schemas.rules.lifecycle import RequestState
from gridsignal_services.access.signer import Signer
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.between import read_between
from gridsignal_services.clock import wall
from gridsignal_services.ledger.tree import leaf_of
from gridsignal_services.merkle import Frontier
from gridsignal_services.owning.heads import Heads
from tests.builders import a_dispatch_request, utc
from tests.integration.ledger.owner_stage import GATE, Stage, an_offer, running

LATE_S = 3600.0


def heads_of(directory: Path, every_s: float, after_clearing_s: float) -> Heads:
    return Heads("the log", Signer.create_or_open(directory), every_s, after_clearing_s, wall)


def heads_on(stage: Stage) -> list[TreeHead]:
    return [record for record, outcome in stage.seen if isinstance(record, TreeHead) and outcome.accepted]


async def test_each_partition_with_news_gets_a_head_and_the_others_none(tmp_path: Path) -> None:
    heads = heads_of(tmp_path / "key", every_s=0.01, after_clearing_s=0.01)
    async with running(tmp_path / "log", utc("16:00"), heads=heads) as stage:
        await stage.a_site("acme", "DE-LU")
        mine = stage.replica.ledger_of("DE-LU")
        await stage.until(lambda: bool(heads_on(stage)) and not mine.tree.has_news)
        assert {head.partition for head in heads_on(stage)} == {mine.partition}
        assert {head.signed_by for head in heads_on(stage)} == {heads.signer.public_key}
        positions = stage.replica.positions
    async with running(tmp_path / "log", utc("16:00"), heads=heads) as again:
        await again.a_site("acme", "FR")
        other = again.replica.ledger_of("FR")
        await again.until(lambda: bool(heads_on(again)) and not other.tree.has_news)
        assert again.replica.positions[mine.partition] == positions[mine.partition], "heads alone are no news"


async def test_a_clearing_is_covered_soon_with_what_follows_from_it(tmp_path: Path) -> None:
    heads = heads_of(tmp_path / "key", every_s=LATE_S, after_clearing_s=0.01)
    async with running(tmp_path / "log", utc("16:00"), heads=heads) as stage:
        await stage.a_site("acme", "DE-LU")
        request = a_dispatch_request()
        await stage.submit(request, "operator:tso-north")
        await stage.submit(an_offer("acme", request.request_id, "DE-LU", "offer"), "participant:acme")
        assert heads_on(stage) == []
        stage.clock.move_to(GATE + timedelta(seconds=1))
        await stage.until(
            lambda: stage.state(request.request_id) is RequestState.PARTIALLY_AWARDED and bool(heads_on(stage))
        )
        (clearing_at,) = [at for at, (record, _) in enumerate(stage.seen) if isinstance(record, Clearing)]
        tree = stage.replica.ledger_of("DE-LU").tree
        assert tree.covered > clearing_at


async def test_what_the_heads_say_is_the_tree_over_what_lies_on_the_log(tmp_path: Path) -> None:
    heads = heads_of(tmp_path / "key", every_s=0.01, after_clearing_s=0.01)
    async with running(tmp_path / "log", utc("16:00"), heads=heads) as stage:
        await stage.a_site("acme", "DE-LU")
        ledger = stage.replica.ledger_of("DE-LU")
        await stage.until(lambda: len(heads_on(stage)) > 0 and not ledger.tree.has_news)
        logged: list[LogRecord] = []
        await read_between(
            stage.log, "dispatch", {ledger.partition: 0}, {ledger.partition: ledger.position}, logged.append
        )
        for head in heads_on(stage):
            tree = Frontier()
            for each in logged[: head.size]:
                tree.append(leaf_of(each))
            assert tree.root().hex() == head.root
