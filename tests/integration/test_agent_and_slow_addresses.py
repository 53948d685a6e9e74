"""An address that answers too slowly holds nobody up: an exchange has one deadline, and its socket is closed then."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from gridsignal.agent.actuators import ActuatorFailed
from gridsignal.agent.actuators.webhook import WebhookActuator
from gridsignal.agent.confirming import Confirming
from gridsignal.agent.kept import Kept
from gridsignal.agent.web import WebFailed, exchange
from gridsignal.testing import ManualClock
from tests.builders import a_dispatch_order, utc
from tests.contract.agent.receiver import receiver
from tests.patience import SOON_S


@contextmanager
def dripping(lines: list[threading.Thread]) -> Iterator[str]:
    """An address that sends a byte now and then, until whoever asked hangs up."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)

    def drips(line: socket.socket) -> None:
        with line, suppress(OSError):
            line.settimeout(0.02)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while True:
                line.sendall(b".")
                with suppress(TimeoutError):
                    if not line.recv(4096):
                        return

    def serves() -> None:
        with suppress(OSError):
            while True:
                line, _ = listening.accept()
                thread = threading.Thread(target=drips, args=(line,))
                thread.start()
                lines.append(thread)

    serving = threading.Thread(target=serves)
    serving.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/orders?token=of-nobody"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        serving.join()


async def test_each_exchange_ends_at_its_deadline_and_takes_nobodys_threads() -> None:
    lines = list[threading.Thread]()
    with dripping(lines) as url:
        async with asyncio.timeout(SOON_S):
            asking = [asyncio.create_task(exchange(url, timeout_s=1.0)) for _ in range(40)]
            assert await asyncio.to_thread(lambda: "there is room") == "there is room"
            for each in await asyncio.gather(*asking, return_exceptions=True):
                assert isinstance(each, WebFailed)
                assert "of-nobody" not in str(each)
    for line in lines:
        line.join(SOON_S)
        assert not line.is_alive(), "its socket was closed"


async def test_what_stands_behind_a_question_mark_is_in_no_line(tmp_path: Path) -> None:
    with receiver(b"another secret") as url:
        secret_url, now = f"{url}?token=of-nobody", utc("12:00")
        with pytest.raises(ActuatorFailed, match="expected 200, got 403") as failed:
            await WebhookActuator(secret_url, b"ours", timeout_s=SOON_S).check(now)
        assert "of-nobody" not in str(failed.value)
        said: asyncio.Queue[str] = asyncio.Queue()
        kept = Kept(tmp_path / "agent.db")
        asks = Confirming(secret_url, b"ours", 1, SOON_S, kept, said.put_nowait)
        asking = asyncio.create_task(asks.ask(a_dispatch_order(), "it", now + timedelta(hours=1), ManualClock(now)))
        try:
            async with asyncio.timeout(SOON_S):
                line = await said.get()
            assert "expected 200 or 204, got 403" in line
            assert "of-nobody" not in line
        finally:
            asking.cancel()
            await asyncio.wait([asking])
            kept.close()
