"""`gridsignal agent` as a person in a shell uses it."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from gridsignal.agent.actuators.simulated import Cluster, SimulatedJob
from gridsignal.agent.kept import Kept
from gridsignal.failsafe import Contact, FailsafeState
from gridsignal.testing import FakeGrid
from gridsignal_schemas.values import MW
from tests.builders import utc
from tests.integration.cli.conftest import clean, command, ran
from tests.patience import SOON_S

CONFIG = """
site = "fra-1"
url = "{url}"
state = "state"
[actuator]
kind = "simulated"
file = "cluster.json"
"""


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeGrid]:
    async with FakeGrid() as grid:
        (tmp_path / "site.toml").write_text(CONFIG.format(url=grid.url), "utf-8")
        cluster = Cluster(jobs=[SimulatedJob(name="train", power_w=4 * MW)])
        (tmp_path / "cluster.json").write_text(cluster.model_dump_json(), "utf-8")
        yield grid


async def test_a_check_says_what_works_and_what_does_not_and_moves_nothing(fake: FakeGrid, tmp_path: Path) -> None:
    words, cluster = ("agent", "check", "--config", "site.toml", "--json"), tmp_path / "cluster.json"
    before = cluster.read_bytes()
    done = await asyncio.to_thread(ran, words, cwd=tmp_path, GRIDSIGNAL_TOKEN=fake.token)
    assert done.code == 0, done
    assert [row["what"] for row in done.rows() if row["works"]] == [
        "state", "gateway", "orders", "dispatch stream", "actuator simulated", "alerts", "meter",
    ]  # fmt: skip
    people = (await asyncio.to_thread(ran, words[:-1], cwd=tmp_path, GRIDSIGNAL_TOKEN=fake.token)).out
    for row in ("state", "orders", "actuator simulated", "alerts"):
        assert re.search(rf"{row} .* works ", people), people
    for said in (
        "no order in hand",
        "no order that is not over",
        "1 job draws 4 MW",
        " - .* none is configured",
        "providers names nobody",
    ):
        assert re.search(said, people), people
    assert cluster.read_bytes() == before
    assert not fake.world.written
    cluster.unlink()
    broken = await asyncio.to_thread(ran, words, cwd=tmp_path, GRIDSIGNAL_TOKEN="wrong")
    assert broken.code == 1
    assert {row["what"] for row in broken.rows() if not row["works"]} == {"gateway", "actuator simulated"}


async def test_a_typo_ends_with_two_and_its_line(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(CONFIG.replace("[actuator]", "[actuater]"), "utf-8")
    done = await asyncio.to_thread(ran, ("agent", "run", "--config", "site.toml"), cwd=tmp_path)
    assert done.code == 2
    assert "site.toml: line 5: actuater: expected one of site, url," in done.err


async def test_an_order_is_answered_by_hand_once(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(CONFIG.format(url="ws://127.0.0.1:1"), "utf-8")
    kept = Kept(tmp_path / "state" / "agent.db")
    kept.ask("order-1", 1, "4 MW LOAD_DECREASE", utc("17:05"))
    listed = await asyncio.to_thread(ran, ("agent", "answer", "--config", "site.toml"), cwd=tmp_path)
    assert listed.out.startswith("order-1  4 MW LOAD_DECREASE, until 2024-05-12T17:05:00Z")
    words = ("agent", "answer", "order-1", "accept", "--config", "site.toml")
    assert [(await asyncio.to_thread(ran, words, cwd=tmp_path)).code for _ in range(2)] == [0, 2]
    answered = kept.answered("order-1", 1)
    assert answered is not None
    assert answered[0] == "accept"
    kept.close()


async def test_it_runs_beside_a_check_until_it_is_stopped_and_ends_in_order(fake: FakeGrid, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *command("agent", "run", "--config", "site.toml"),
        cwd=tmp_path,
        env=clean(GRIDSIGNAL_TOKEN=fake.token),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(SOON_S):
        while b"the grid is reached" not in await process.stderr.readline():
            pass
        words = ("agent", "check", "--config", "site.toml")
        assert (await asyncio.to_thread(ran, words, cwd=tmp_path, GRIDSIGNAL_TOKEN=fake.token)).code == 0
        second = await asyncio.to_thread(ran, ("agent", "run", *words[2:]), cwd=tmp_path, GRIDSIGNAL_TOKEN=fake.token)
        told = f"another agent runs for fra-1: process {process.pid} has the state state; stop that one first"
        assert (second.code, second.err) == (2, f"gridsignal: {told}\n")
        process.send_signal(signal.SIGTERM)
        rest = await process.stderr.read()
        assert (await process.wait(), b"stopped" in rest, b"Traceback" in rest) == (0, True, False)


async def test_a_permit_is_written_down_for_an_agent_in_a_failsafe_and_for_no_other(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(CONFIG.format(url="ws://127.0.0.1:1"), "utf-8")
    words = ("agent", "permit", "--config", "site.toml")
    for contact in (None, Contact.HEARD, Contact.FAILSAFE):
        with closing(Kept(tmp_path / "state" / "agent.db")) as kept:
            if contact is not None:
                kept.keep_contact(FailsafeState(contact, utc("12:00"), utc("14:00")))
        done = await asyncio.to_thread(ran, words, cwd=tmp_path)
        assert done.code == 0, done
        active = contact is Contact.FAILSAFE
        assert ("lets go of a failsafe" in done.out, "no failsafe is active" in done.err) == (active, not active)
        with closing(Kept(tmp_path / "state" / "agent.db")) as kept:
            assert [kept.take_permit(), kept.take_permit()] == [active, False]


async def test_who_has_nothing_to_answer_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(CONFIG.format(url="ws://127.0.0.1:1"), "utf-8")
    done = await asyncio.to_thread(ran, ("agent", "answer", "--config", "site.toml"), cwd=tmp_path)
    assert (done.code, done.out) == (0, "")
    assert done.err == "no order waits for an answer: in the mode automatic nobody is asked\n"


@pytest.mark.parametrize("action", ["check", "run"])
async def test_a_token_file_that_is_none_is_told_with_its_line(tmp_path: Path, action: str) -> None:
    config = CONFIG.format(url="ws://127.0.0.1:1").replace("[actuator]", 'token_file = "none"\n[actuator]')
    (tmp_path / "site.toml").write_text(config, "utf-8")
    done = await asyncio.to_thread(ran, ("agent", action, "--config", "site.toml"), cwd=tmp_path)
    told = "site.toml: line 5: token_file: expected a token in the file none, got no such file"
    assert (done.code, done.err) == (2, f"gridsignal: {told}\n")
