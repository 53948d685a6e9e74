"""A service the tests start themselves: a process on 127.0.0.1 that ends with them."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import threading
from pathlib import Path

from tests.patience import LONG_S

FIRST, LAST = 15_000, 31_000
"""Below those that Linux, macOS and Windows give to connections: who is down for a moment finds its port free."""
BESIDE = 1000
"""Where a door's operations port is, above its own."""
_given: set[int] = set()
_OF = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_MINE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Of the tests' processes each takes ports of its own: every so manieth, from its number on."""


def free_ports(n: int) -> list[int]:
    """Ports nobody listens on, nor on those beside them, for programs that can't be told to choose one.

    No two calls in one run of the tests give the same: who got one keeps it, though it may be down for a while.
    """
    ports: list[int] = []
    while len(ports) < n:
        # not the generator that tests seed
        port = random.SystemRandom().randrange(FIRST + _MINE, LAST, _OF)
        pair = {port, port + BESIDE}
        if not pair & _given and all(map(_is_free, pair)):
            _given.update(pair)
            ports.append(port)
    return ports


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


class Process:
    """Runs a command; its output goes to a file, and is watched for the line that says it is ready."""

    def __init__(
        self,
        command: list[str],
        ready: str,
        log: Path,
        env: dict[str, str] | None = None,
        said: threading.Condition | None = None,
    ) -> None:
        """`env` is added to the environment; `said` is notified of each line, of several processes if they share it."""
        self.command = command
        self._env = os.environ | (env or {})
        self._ready = ready
        self._log = log
        self._is_ready, self._settled = False, threading.Event()
        self._said = said or threading.Condition()
        self.start()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._running.pid

    def start(self) -> None:
        """Starts it (again), and returns once it is ready. Raises RuntimeError with the end of its output."""
        self._is_ready = False
        self._settled.clear()
        self._running = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=self._env
        )
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        self._settled.wait(LONG_S)
        if not self._is_ready:
            ended = self._settled.is_set()
            self.kill()
            how = f"ended with {self._running.returncode}" if ended else f"is not ready after {LONG_S:.0f} s"
            raise RuntimeError(f"{' '.join(self.command)[:300]} {how}: {self.told()}")

    def wait_until_ready(self) -> None:
        """Returns at once while it runs, and while it is being started once it does."""
        self._settled.wait(LONG_S)

    def told(self) -> str:
        """The end of what it has said so far."""
        return self._log.read_text("utf-8", "replace")[-2000:] if self._log.exists() else ""

    def times_said(self, text: str) -> int:
        """How often it has said what holds this text, since it was started first."""
        return self._log.read_text("utf-8", "replace").count(text)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Returns once it has said so often what holds this text. Raises TimeoutError."""
        with self._said:
            if not self._said.wait_for(lambda: self.times_said(text) >= times, LONG_S):
                raise TimeoutError(f"expected {text!r} {times} times, got: {self.told()}")

    def _watch(self) -> None:
        assert self._running.stdout is not None
        with self._log.open("ab") as log:
            for line in self._running.stdout:
                with self._said:
                    log.write(line)
                    log.flush()
                    self._said.notify_all()
                if self._ready.encode() in line:
                    self._is_ready = True
                    self._settled.set()
        self._settled.set()  # it has ended: nobody need wait any longer

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP freezes it, SIGCONT lets it go on."""
        os.kill(self._running.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self._running.kill()
        self._end()

    def stop(self, within_s: float = 10) -> int:
        """Asks it to end, and insists after a while; its exit code."""
        self._running.terminate()
        try:
            self._running.wait(within_s)
        except subprocess.TimeoutExpired:
            self._running.kill()
        self._end()
        return self._running.returncode

    def _end(self) -> None:
        self._running.wait()
        self._watcher.join()
        assert self._running.stdout is not None
        self._running.stdout.close()
