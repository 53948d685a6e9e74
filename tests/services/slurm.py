"""A Slurm of the tests' own: munged, slurmctld and a slurmd on 127.0.0.1, as whoever runs the tests; no accounting."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.patience import LONG_S, SOON_S
from tests.services.process import free_ports

PATH = os.pathsep.join((os.environ["PATH"], "/usr/sbin"))
PROGRAMS = ("munged", "slurmctld", "slurmd", "squeue", "scontrol", "scancel", "sbatch")
CPUS = 128
_CONF = """
ClusterName=testsite
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={home}/munge.sock
CredType=cred/munge
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,bf_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
MailProg=/bin/true
KillWait=2
MessageTimeout=60
TCPTimeout=30
NodeName=n1 CPUs={cpus} RealMemory=100000 NodeHostname=localhost NodeAddr=127.0.0.1 Port={node} State=UNKNOWN
PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """A cluster of one node that claims CPUS processors."""

    def __init__(self, home: Path) -> None:
        self.home, self.conf = home, home / "slurm.conf"
        controller, node = free_ports(2)
        for folder in ("state", "spool", "pids"):
            (home / folder).mkdir()
        self.conf.write_text(
            _CONF.format(controller=controller, node=node, user=getpass.getuser(), home=home, cpus=CPUS), "utf-8"
        )
        (home / "munge.key").write_bytes(secrets.token_bytes(1024))
        (home / "munge.key").chmod(0o600)
        self.env = {**os.environ, "SLURM_CONF": str(self.conf), "PATH": PATH}
        files = {"key-file": "munge.key", "socket": "munge.sock", "pid-file": "munged.pid", "log-file": "munged.log"}
        options = [f"--{name}={home / file}" for name, file in {**files, "seed-file": "munge.seed"}.items()]
        self.run("munged", "--force", "--num-threads=1", *options)
        self.start_controller()
        self.run("slurmd", "-N", "n1")
        self.until(lambda: "idle" in self.run("sinfo", "-h", "-o", "%t"))

    def run(self, *words: str) -> str:
        return subprocess.run(
            words, env=self.env, check=True, capture_output=True, text=True, timeout=SOON_S, cwd=self.home
        ).stdout

    def start_controller(self) -> None:
        """With all that it has saved."""
        self.run("slurmctld", "-f", str(self.conf))

    def kill_controller(self) -> None:
        """kill -9; returns when it is gone."""
        pid = int((self.home / "slurmctld.pid").read_text("utf-8"))
        os.kill(pid, signal.SIGKILL)
        self.until(partial(_is_gone, pid))

    def saved(self) -> None:
        """Returns when the controller has written down all jobs as they are; it takes its time for that."""
        job, since = next(iter(self.jobs().values())), time.time()
        self.run("scontrol", "update", f"JobId={job['job_id']}", f"Comment={job['comment']}")  # as it is: a change
        self.until(lambda: (self.home / "state" / "job_state").stat().st_mtime > since)

    def submit(self, name: str, cpus: int, comment: str, *more: str) -> int:
        """A job that writes down its process, and runs until it is cancelled."""
        script = f'echo $$ >> "{self.home}/pids/{name}"; exec sleep 3600'
        options = ("-J", name, "-c", str(cpus), f"--comment={comment}", "-o", "/dev/null", *more)
        return int(self.run("sbatch", "--parsable", *options, f"--wrap={script}"))

    def jobs(self) -> dict[str, dict[str, Any]]:
        """By name, what squeue prints of each."""
        return {job["name"]: job for job in json.loads(self.run("squeue", "--json"))["jobs"]}

    def starts(self, name: str) -> int:
        """How often a job was started."""
        return len(self._pids(name))

    def works(self, name: str) -> bool:
        """Whether its process runs: neither stopped nor gone, as the kernel tells."""
        found = [_state(pid) for pid in self._pids(name)]
        assert sum(state is not None for state in found) <= 1, f"{name} runs twice"
        return any(state not in (None, "T") for state in found)

    def _pids(self, name: str) -> list[int]:
        with contextlib.suppress(FileNotFoundError):
            return [int(line) for line in (self.home / "pids" / name).read_text("utf-8").split()]
        return []

    def until(self, holds: Callable[[], bool]) -> None:
        """Returns once it does. It looks again and again: nobody is told when the processes of others stop."""
        deadline, never = time.monotonic() + LONG_S, threading.Event()
        while not holds():
            assert time.monotonic() < deadline, f"expected it within {LONG_S:g} s: {self.run('squeue')}"
            never.wait(0.02)

    def stop(self) -> None:
        """Jobs outlive their daemons: they are cancelled first."""
        if _is_gone(int((self.home / "slurmctld.pid").read_text("utf-8"))):  # a test ended in the middle
            self.start_controller()
        self.run("scancel", "-Q", "-s", "KILL", "-u", getpass.getuser())
        self.run("scancel", "-Q", "-u", getpass.getuser())
        self.until(lambda: not self.run("squeue", "-h"))
        for daemon in ("slurmctld", "slurmd", "munged"):
            os.kill(int((self.home / f"{daemon}.pid").read_text("utf-8")), signal.SIGKILL)


def _state(pid: int) -> str | None:
    """The kernel's letter for a process; None where it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        return None if state in "ZX" else state
    return None


def _is_gone(pid: int) -> bool:
    return _state(pid) is None


@pytest.fixture
def slurm() -> Iterator[Slurm]:
    """A cluster; its folder's name is short, for munge's socket lies in it."""
    if any(shutil.which(program, path=PATH) is None for program in PROGRAMS):
        pytest.skip("needs Slurm: apt-get install slurmctld slurmd slurm-client munge")
    home = Path(tempfile.mkdtemp(prefix="slurm"))
    try:
        cluster = Slurm(home)
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)
