"""Only the clock module reads a clock; everybody else is handed what they go by, so that a test can move it by hand.

The event loop's own time is not forbidden: it is what timers go by. Nor is processor time, which is a measure of work.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.tidy.sources import ROOT, Source, assert_none, sources

SERVICES = "services/gridsignal_services/"
READERS = {
    "clock.py": "the clock itself",
    "bus/steady_clock.py": "a second clock, which judges the first",
    "demo/timed_log.py": "measures what the demo then shows",
    "demo/program.py": "measures what the demo then shows",
    "demo/run.py": "begins a simulation now",
    "cli/accelerated.py": "begins a simulation now",
    "cli/api.py": "a command is asked now",
    "cli/demo.py": "a command is asked now",
    "cli/ingest.py": "a command is asked now",
    "cli/looking.py": "a machine is looked at now",
    "cli/progress.py": "a person looks at it",
    "cli/push.py": "a command is asked now",
    "cli/replay.py": "begins a simulation now",
    "cli/token.py": "a command is asked now",
}
"""Who reads time by themselves, and why they may."""
CLOCKS = {
    "time": {
        "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "clock_gettime",
        "clock_gettime_ns", "localtime", "gmtime",
    },
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}  # fmt: skip
OURS = {"wall", "wall_us", "steady_s"}
"""Functions of the clock module: handed on by everybody, called by the readers alone."""


def reads(source: Source) -> Iterator[str]:
    """Every place where a clock is read, or a clock of the standard library named."""
    for node in ast.walk(source.tree):
        match node:
            case (
                ast.Attribute(attr=name, value=ast.Name(id=of)) | ast.Attribute(attr=name, value=ast.Attribute(attr=of))
            ):
                if name in CLOCKS.get(of, ()):
                    yield f"{source.where(node)} names {of}.{name}: take what tells the time as an argument"
            case ast.ImportFrom(module="time", names=names):
                if taken := sorted({each.name for each in names} & CLOCKS["time"]):
                    yield f"{source.where(node)} imports {', '.join(taken)} of time: take it as an argument"
            case ast.Call(func=ast.Name(id=name)):
                if name in OURS and _is_the_clocks(source, name):
                    yield f"{source.where(node)} calls {name}: take what tells the time as an argument"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="MACHINE_TIME"))):
                yield f"{source.where(node)} asks MACHINE_TIME: take a Time as an argument"
            case _:
                pass


def _is_the_clocks(source: Source, name: str) -> bool:
    """Whether a name is taken from the clock module; an argument of the same name is what it should be."""
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "gridsignal_services.clock"
        and any((each.asname or each.name) == name for each in node.names)
        for node in source.tree.body
    )


def a_source(text: str) -> Source:
    return Source(ROOT / "x.py", text, ast.parse(text))


def test_nobody_but_the_named_reads_a_clock() -> None:
    readers = {SERVICES + name for name in READERS}
    assert_none(fault for source in sources("services") if source.name not in readers for fault in reads(source))


@pytest.mark.parametrize("name", READERS)
def test_who_may_read_a_clock_does(name: str) -> None:
    (source,) = [source for source in sources("services") if source.name == SERVICES + name]
    assert any(reads(source)), f"{name} reads no clock any more: take it off the list"


@pytest.mark.parametrize(
    "text",
    [
        "time.monotonic()",
        "def f(now_s=time.monotonic): ...",
        "datetime.now(UTC)",
        "datetime.datetime.now(UTC)",
        "date.today()",
        "from time import perf_counter",
        "from gridsignal_services.clock import wall\nwall()",
        "MACHINE_TIME.wall_s()",
    ],
)
def test_the_law_sees_a_clock_that_is_read(text: str) -> None:
    assert list(reads(a_source(text)))


@pytest.mark.parametrize(
    "text",
    [
        "from gridsignal_services.clock import wall\ndef f(now=wall): return now()",
        "def f(wall): return wall()",
        "loop.time()",
        "time.thread_time()",
        "self._clock.now()",
    ],
)
def test_the_law_lets_pass_what_is_handed_down(text: str) -> None:
    assert not list(reads(a_source(text)))
