"""What all tests share, and the last lines of `make test`: which parts ran on what."""

from __future__ import annotations

import gc
import os
import platform
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings

from tests.effort import ALL, QUICK

pytest_plugins = [f"tests.services.{name}" for name in ("kafka", "secured_kafka", "registry", "redis", "slurm")]

ALLOWED_SKIPS = {
    "*needs Grafana's image*": "no package index has it, and tests pull nothing",
    "*needs the recorded answers*": "the recorded answers of public feeds are not part of the repository",
    "*needs an older version that could be deployed*": "a shallow clone has none, nor has the first one",
}
"""With CI=true a skip fails the run, unless its reason matches a pattern here; the value says why it may."""

PARTS = {
    "unit": "decisions: no loop, no socket, no file",
    "contract": "schemas, examples, evolution, ports and their doubles",
    "integration": "real sockets on 127.0.0.1, real SQLite files, processes; ledgers at their full size",
    "journey": "the whole stack, on the embedded log and on Kafka",
    "tidy": "house rules",
}
EDGES = {
    "Kafka": "gridsignal_services.bus.kafka",
    "schema registry": "gridsignal_services.bus.registry",
    "Redis": "gridsignal_services.cache.redis",
}
RAN_ON = pytest.StashKey[dict[str, str]]()
"""What a fixture that starts an outside service says about it: {"Kafka": "4.3.1, started by the tests"}."""

FOUND = pytest.StashKey[dict[str, str]]()
"""The environment before a test."""

settings.register_profile("here", deadline=None, max_examples=ALL)  # a busy machine is not a slow program
settings.register_profile("ci", deadline=None, max_examples=ALL, derandomize=True, print_blob=True)
settings.register_profile("quick", deadline=None, max_examples=QUICK, derandomize=True)  # `make unit`
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")


REAL_SERVICES = {"kafka", "secured_kafka", "schema_registry", "redis_url", "redis"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs Kafka, a registry or Redis, so that `-m "not services"` leaves it out; it comes last."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        ids = set(callspec.id.split("-")) if callspec is not None else set()
        if REAL_SERVICES & (ids | set(getattr(item, "fixturenames", ()))):
            item.add_marker("services")
    items.sort(key=lambda item: item.get_closest_marker("services") is not None)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not look at it again after every few tests."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job; what tests start is interrupted
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[RAN_ON] = {}


def environment() -> dict[str, str]:
    """As programs see it; the one name in it is pytest's own, and changes with each test."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.stash[FOUND] = environment()
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """A test that leaves another environment than it found has failed: the next ones in its process would read it."""
    yield
    found, left = item.stash[FOUND], environment()
    os.environ |= found
    for name in left.keys() - found:
        del os.environ[name]
    changed = sorted(name for name in found.keys() | left if found.get(name) != left.get(name))
    assert not changed, f"changed in the environment, and left so: {', '.join(changed)}"


@pytest.fixture(autouse=True)
def logs_of_its_own() -> Iterator[None]:
    """What a test sets up for the logs of its process ends with it: the next one finds them as they come."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of recorded answers of public feeds; the test is skipped where there is none."""
    folder = Path(os.environ.get("GRIDSIGNAL_SAMPLES", ""))
    if not os.environ.get("GRIDSIGNAL_SAMPLES") or not folder.is_dir():
        pytest.skip("needs the recorded answers of public feeds: set GRIDSIGNAL_SAMPLES to their folder")
    return folder


def skip_reason(report: pytest.TestReport) -> str:
    """Why a test was skipped, as it said."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def skips_that_fail(reports: Iterable[pytest.TestReport]) -> list[str]:
    """The skips that nobody allowed, as "test: reason"."""
    return [
        f"{report.nodeid}: {skip_reason(report)}"
        for report in reports
        if not any(fnmatch(skip_reason(report), pattern) for pattern in ALLOWED_SKIPS)
    ]


def part_of(nodeid: str) -> str:
    """unit, contract, ... : the folder of a test."""
    folders = nodeid.split("::")[0].split("/")
    return folders[1] if len(folders) > 2 else "tests"


def counts(stats: dict[str, list[pytest.TestReport]]) -> dict[str, Counter[str]]:
    """How many tests of each part ended how."""
    found: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped", "xfailed", "xpassed"):
        for report in stats.get(outcome, []):
            found.setdefault(part_of(report.nodeid), Counter())[outcome] += 1
    return found


def outside(ran_on: dict[str, str]) -> list[str]:
    """One line for each outside service: what it was, or why there was none."""
    lines = []
    for service, module in EDGES.items():
        missing = find_spec(module.rpartition(".")[0]) is None or find_spec(module) is None
        why_not = "no adapter for it in this version" if missing else "not used by the tests that ran"
        lines.append(f"{service + ':':<17}{ran_on.get(service, why_not)}")
    return lines


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Of several processes each says what it started."""
    node.config.stash[RAN_ON] |= getattr(node, "workeroutput", {}).get("ran_on", {})


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["ran_on"] = session.config.stash[RAN_ON]
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = terminal.stats.get("skipped", []) if terminal else []
    if os.environ.get("CI") == "true" and session.exitstatus == 0 and skips_that_fail(skipped):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.section("what ran on what")
    found = counts(terminalreporter.stats)
    for part in sorted(found, key=lambda name: list(PARTS).index(name) if name in PARTS else len(PARTS)):
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in found[part].items())
        terminalreporter.line(f"{part:<12} {outcomes:<28} {PARTS.get(part, '')}")
    terminalreporter.line("")
    terminalreporter.line(f"{'Python:':<17}{platform.python_version()} on {platform.system()} {platform.machine()}")
    terminalreporter.line(f"{'embedded log:':<17}SQLite {sqlite3.sqlite_version}")
    terminalreporter.line(f"{'libraries:':<17}pydantic {version('pydantic')}, websockets {version('websockets')}")
    for line in outside(config.stash[RAN_ON]):
        terminalreporter.line(line)
    reasons = Counter(skip_reason(report) for report in terminalreporter.stats.get("skipped", []))
    for reason, number in sorted(reasons.items()):
        terminalreporter.line(f"{'skipped:':<17}{number} because a test {reason}")
    if os.environ.get("CI") == "true":
        for skip in skips_that_fail(terminalreporter.stats.get("skipped", [])):
            terminalreporter.line(f"CI: a skip that tests/conftest.py does not allow: {skip}", red=True)
