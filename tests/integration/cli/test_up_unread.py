"""A stack whose output nobody reads: `gridsignal up | head`, a log shipper that hangs, a closed descriptor."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

import gridsignal
from tests.integration.cli.conftest import clean, command
from tests.patience import SOON_S

PORTS = ("--gateway-port", "0", "--dispatch-port", "0", "--ingest-port", "0")


def fill(process: subprocess.Popen[bytes]) -> None:
    """Writes into the process's own pipe until nothing more fits."""
    pipe = os.open(f"/proc/{process.pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(pipe, b"x" * 512)
    except BlockingIOError:
        os.close(pipe)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs the descriptors of another process")
@pytest.mark.parametrize("reader", ["goes away", "hangs"])
async def test_a_stack_whose_output_nobody_reads_serves_and_ends_in_order(tmp_path: Path, reader: str) -> None:
    line = command("up", "--directory", str(tmp_path / "data"), *PORTS)
    process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs here yet
        line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean(GRIDSIGNAL_LOG_LEVEL="DEBUG")
    )
    try:
        assert process.stdout is not None
        greeting = b""
        while b"running; Ctrl-C" not in greeting:
            read = process.stdout.readline()
            assert read, greeting.decode()
            greeting += read
        url = re.search(r"ws://\S+", greeting.decode())[0]  # type: ignore[index]  # the greeting names it
        if reader == "goes away":
            process.stdout.close()
        else:
            fill(process)
        token = (tmp_path / "data" / "tokens" / "participant-acme-ai.token").read_text("ascii")
        async with gridsignal.connect(url, token=token, site="fra-1", outbox=":memory:") as grid:
            await grid.declare_baseline(grid.now(), [1000])
        process.send_signal(signal.SIGTERM)
        assert process.wait(SOON_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]  # it is a pipe


def test_a_stack_without_any_output_starts(tmp_path: Path) -> None:
    words = " ".join(command("up", "--directory", str(tmp_path / "data"), *PORTS))
    process = subprocess.Popen(f"exec {words} >&- 2>&-", shell=True, env=clean())
    try:
        tokens = tmp_path / "data" / "tokens"
        while not (tokens / "participant-acme-ai.token").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(SOON_S) == 0
    finally:
        process.kill()
        process.wait()
