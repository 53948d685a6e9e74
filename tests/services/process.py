"""A service the tests start themselves: a process on 127.0.0.1 that ends with them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

START_TIMEOUT_S = 60.0


def free_ports(n: int) -> list[int]:
    """Ports nobody listens on, for programs that can't be told to choose one."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


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
        self._is_ready = threading.Event()
        self._said = said or threading.Condition()
        self.start()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._running.pid

    def start(self) -> None:
        """Starts it (again), and returns once it is ready. Raises RuntimeError with the end of its output."""
        self._is_ready.clear()
        self._running = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=self._env
        )
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        if not self._is_ready.wait(START_TIMEOUT_S) or self._running.poll() is not None:
            self.kill()
            raise RuntimeError(f"{self.command[0]} did not start: {self._log.read_text('utf-8', 'replace')[-2000:]}")

    def wait_until_ready(self) -> None:
        """Returns at once while it runs, and while it is being started once it does."""
        self._is_ready.wait(START_TIMEOUT_S)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Returns once it has said so often what holds this text. Raises TimeoutError."""
        with self._said:
            if not self._said.wait_for(lambda: self._log.read_text("utf-8", "replace").count(text) >= times, 60):
                raise TimeoutError(f"expected {text!r} {times} times, got: {self._log.read_text()[-2000:]}")

    def _watch(self) -> None:
        assert self._running.stdout is not None
        with self._log.open("ab") as log:
            for line in self._running.stdout:
                with self._said:
                    log.write(line)
                    log.flush()
                    self._said.notify_all()
                if self._ready.encode() in line:
                    self._is_ready.set()
        self._is_ready.set()  # it has ended: nobody need wait any longer

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
