"""PROTOCOL.md is enough for another language: clients without the SDK offer, accept, and come back where they were."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path

import pytest

from gridsignal import MW, FlexOffer, OrderResponse
from gridsignal.testing import FakeGrid
from tests.patience import LONG_S, SOON_S

CLIENTS = Path(__file__).parents[2] / "clients"


def node() -> list[str]:
    """How JavaScript is run here."""
    if (found := shutil.which("node")) is None:
        pytest.skip("needs Node.js 20 or newer")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    major = int(version.removeprefix("v").partition(".")[0])
    if major < 20:
        pytest.skip("needs Node.js 20 or newer")
    return [found, "--no-warnings", *(["--experimental-websocket"] if major < 22 else [])]


def javascript(_folder: Path) -> list[str]:
    return [*node(), str(CLIENTS / "javascript" / "follow.mjs")]


def go(folder: Path) -> list[str]:
    """The client in Go, built; a first time all it stands on, which takes a while."""
    if (found := shutil.which("go")) is None:
        pytest.skip("needs Go 1.23 or newer")
    program = str(folder / "follow")
    without_c = os.environ | {"CGO_ENABLED": "0"}  # else a C compiler is needed, too
    build = [found, "build", "-buildvcs=false", "-o", program, "."]
    subprocess.run(build, cwd=CLIENTS / "go", env=without_c, check=True, timeout=3 * LONG_S)
    return [program]


@pytest.mark.parametrize("language", [javascript, go])
async def test_a_client_offers_accepts_and_resumes(language: Callable[[Path], list[str]], tmp_path: Path) -> None:
    words = await asyncio.to_thread(language, tmp_path)
    async with FakeGrid() as fake, asyncio.timeout(SOON_S):
        environment = os.environ | {"GRIDSIGNAL_URL": fake.url, "GRIDSIGNAL_TOKEN": fake.token}
        program = await asyncio.create_subprocess_exec(*words, stdout=PIPE, stderr=STDOUT, env=environment)
        assert program.stdout is not None

        async def said(word: str) -> str:
            lines = []
            while word not in (line := (await program.stdout.readline()).decode()):
                assert line, lines
                lines.append(line)
            return line.strip()

        try:
            assert await said("recovery") == "recovery snapshot"
            fake.ask(12 * MW)
            offer = await fake.next(FlexOffer)
            assert (await said("the log has offer")).endswith(offer.offer_id)
            fake.award(offer)
            answer = await fake.next(OrderResponse, response="ACCEPTED")
            assert answer.response_id in await said("the site may start")
            fake.break_lines()
            assert await said("recovery") == "recovery full"
        finally:
            program.kill()
            await program.wait()
