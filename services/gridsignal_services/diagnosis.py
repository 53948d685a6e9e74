"""What to make of a machine that gridsignal runs on, or is to run on: findings, each with what to do about it.

Facts in, findings out; `cli.looking` collects the facts.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

AHEAD = timedelta(seconds=2)
"""By more, a clock is wrong: what is logged is dated by it, and tokens are judged by it."""
LEAST_FREE_BYTES = 256_000_000
"""With less, the log is about to take nothing more."""
RENEWAL = timedelta(days=14)
"""A certificate with less left has not been renewed as it should have been."""
_DAY_S = 86_400


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It runs like this, for now."""
    WRONG = "wrong"
    """Something does not work, or is open to others."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what it was like, and what to do where it should be otherwise."""

    check: str
    state: State
    found: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file or folder that others must not read."""

    path: str
    mode: int
    """Its permission bits."""
    for_group: bool = False
    """Whether its group may read it: a key that a service account reads, say."""


@dataclass(frozen=True, slots=True)
class FeedSeen:
    """A feed of a running ingest door, as its metrics show it."""

    name: str
    last_success: datetime | None
    is_stale: bool


def of_clock(
    now: datetime, newest: datetime | None, elsewhere: datetime | None, is_synchronised: bool | None
) -> Finding:
    """This machine's clock beside the newest record's time, the issuer's clock (whole seconds) and the kernel's word.

    None: not known.
    """
    todo = "set the clock: start chrony or systemd-timesyncd, and let it slew rather than step"
    if newest is not None and newest - now > AHEAD:
        late = (newest - now).total_seconds()
        return Finding("clock", State.WRONG, f"{late:.0f} s behind the newest record of the log", todo)
    if elsewhere is not None and abs(now - elsewhere) > AHEAD + timedelta(seconds=1):
        apart = (now - elsewhere).total_seconds()
        side = "ahead of" if apart > 0 else "behind"
        return Finding("clock", State.WRONG, f"{abs(apart):.0f} s {side} the issuer's", todo)
    if is_synchronised is False:
        return Finding("clock", State.WARNING, "the kernel says that nothing keeps it right", todo)
    return Finding("clock", State.OK, "agrees with all that is known here")


def of_disk(free_bytes: int, total_bytes: int, log_bytes: int) -> Finding:
    """The room beside the log: a backup or `log compact` writes as much again."""
    found = f"{_size(free_bytes)} of {_size(total_bytes)} free, the log takes {_size(log_bytes)}"
    if free_bytes < LEAST_FREE_BYTES:
        return Finding("disk", State.WRONG, found, "make room: a full disk refuses every write, and loses none")
    if free_bytes < log_bytes:
        todo = "make room, or write backups to another disk: one takes as much as the log"
        return Finding("disk", State.WARNING, found, todo)
    return Finding("disk", State.OK, found)


def of_modes(files: Sequence[SecretFile]) -> list[Finding]:
    """A finding for each file that others may read or write, or one for all."""
    open_to_others = [file for file in files if file.mode & (0o027 if file.for_group else 0o077)]
    if not open_to_others:
        return [Finding("modes", State.OK, f"nobody else may read any of the {len(files)} files that hold secrets")]
    return [
        Finding(
            "modes",
            State.WRONG,
            f"{file.path} has mode {file.mode:04o}: others may read what is in it",
            f"chmod {'g-w,o-rwx' if file.for_group else 'go-rwx'} {shlex.quote(file.path)}",
        )
        for file in open_to_others
    ]


def of_certificate(
    from_when: datetime, until: datetime, names: Sequence[str], now: datetime, wanted: str | None
) -> Finding:
    """A server's certificate: its validity, and whether it has the name by which clients come, where that is told."""
    found = f"for {', '.join(names) or 'no name'}, until {until:%Y-%m-%d}"
    if not from_when <= now < until:
        todo = "replace both files with a renewed certificate; they are read again by themselves"
        return Finding("certificate", State.WRONG, f"{found}: not valid now", todo)
    if wanted is not None and not any(_covers(name, wanted) for name in names):
        return Finding("certificate", State.WRONG, found, f"have one made for {wanted}: clients refuse any other name")
    if until - now < RENEWAL:
        return Finding("certificate", State.WARNING, f"{found}: {(until - now).days} days left", "renew it now")
    return Finding("certificate", State.OK, found)


def _covers(name: str, wanted: str) -> bool:
    """Whether a certificate's name is a host's (RFC 6125: a star stands for one label, the first)."""
    name, wanted = name.lower().rstrip("."), wanted.lower().rstrip(".")
    first, _, rest = name.partition(".")
    return name == wanted or (first == "*" and bool(rest) and wanted.partition(".")[2] == rest)


def of_feeds(feeds: Sequence[FeedSeen], now: datetime) -> list[Finding]:
    """What a running ingest door says of its feeds."""
    findings = []
    for feed in feeds:
        if feed.last_success is None:
            found = f"{feed.name}: no good answer since the door began"
        else:
            found = f"{feed.name}: last good answer {_span(now - feed.last_success)} ago"
        if feed.is_stale:
            todo = "`gridsignal ingest status` has its last error; `gridsignal ingest fetch` asks it once"
            findings.append(Finding("feeds", State.WRONG, found, todo))
        else:
            findings.append(Finding("feeds", State.OK if feed.last_success else State.WARNING, found))
    return findings


def of_doors(
    ports: Mapping[str, int], health: Mapping[str, Mapping[str, object]], taken: frozenset[int]
) -> list[Finding]:
    """The doors of this machine: each is ready, or its port is free for it. `taken` are the ports that answer."""
    findings = []
    for door, port in ports.items():
        if (said := health.get(door)) is not None:
            findings.append(_of_running(door, f"{door} runs", said))
        elif port and port in taken:
            todo = f"stop what listens there (ss -ltnp 'sport = :{port}'), or name another: --{door}-port"
            findings.append(Finding("ports", State.WRONG, f"{port}, for {door}, answers and is not ours", todo))
        else:
            findings.append(Finding("ports", State.OK, f"{port or 'any'}, for {door}, is free"))
    if (log := health.get("log")) is not None:
        findings.append(_of_running("log", "the log takes records", log))
    return findings


def _of_running(part: str, well: str, said: Mapping[str, object]) -> Finding:
    if said.get("ready") and not said.get("reason"):
        return Finding(part, State.OK, well)
    state = State.WARNING if said.get("ready") else State.WRONG
    return Finding(
        part, state, str(said.get("reason") or "not ready"), "its log lines say since when; `journalctl -u gridsignal`"
    )


def of_open_files(most: int, wanted: int) -> Finding:
    """How many files and sockets a process may have, beside the connections that the gateway would take."""
    found = f"{most} open files for at most {wanted} connections"
    if 2 * most >= wanted:  # few ever meet the last half
        return Finding("open files", State.OK, found)
    todo = f"raise it: LimitNOFILE={wanted} in the unit, or `ulimit -n {wanted}`; the gateway takes fewer until then"
    return Finding("open files", State.WARNING, found, todo)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _span(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    for length, unit in ((_DAY_S, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
