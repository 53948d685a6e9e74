"""A decision is values in, values out: no await, no clock, no chance, no log line, no environment, no file.

Decisions are named after things of the grid, edges after technologies. A new module of gridsignal_protocol/, ledger/ or
ingest/providers/ is a decision by where it lies; others are listed below.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.tidy.sources import ROOT, Source, assert_none, called, sources

DECISIONS = (
    "schemas/gridsignal_schemas/**/*.py",
    "schemas/gridsignal_protocol/**/*.py",
    "clients/python/gridsignal/outcomes.py",
    "clients/python/gridsignal/answers.py",
    "clients/python/gridsignal/offers.py",
    "clients/python/gridsignal/standing.py",
    "clients/python/gridsignal/wanted.py",
    "clients/python/gridsignal/claims.py",
    "clients/python/gridsignal/testing/operating.py",
    "clients/python/gridsignal/testing/promises.py",
    "clients/python/gridsignal/testing/site.py",
    "clients/python/gridsignal/testing/standing.py",
    "clients/python/gridsignal/testing/ledger.py",
    "services/gridsignal_services/access/__init__.py",
    "services/gridsignal_services/access/tokens.py",
    "services/gridsignal_services/access/keys.py",
    "services/gridsignal_services/access/revocations.py",
    "services/gridsignal_services/arrivals.py",
    "services/gridsignal_services/headway.py",
    "services/gridsignal_services/ledger/*.py",
    "services/gridsignal_services/ingest/providers/*.py",
    "services/gridsignal_services/ingest/revisions.py",
    "services/gridsignal_services/ingest/schedule.py",
    "services/gridsignal_services/ingest/curves.py",
    "services/gridsignal_services/ingest/figures.py",
    "services/gridsignal_services/ingest/markets.py",
    "services/gridsignal_services/ingest/series.py",
    "services/gridsignal_services/ingest/closing.py",
    "services/gridsignal_services/ingest/overlaps.py",
    "services/gridsignal_services/ingest/stamps.py",
    "services/gridsignal_services/ingest/kept.py",
    "services/gridsignal_services/ingest/elements.py",
    "services/gridsignal_services/ingest/left_out.py",
    "services/gridsignal_services/ingest/pushed_files.py",
    "services/gridsignal_services/ingest/quarantine.py",
    "services/gridsignal_services/ingest/watch.py",
    "services/gridsignal_services/dispatch/book.py",
    "services/gridsignal_services/dispatch/contents.py",
    "services/gridsignal_services/dispatch/commands.py",
    "schemas/gridsignal_schemas/rules/vintages.py",
    "services/gridsignal_services/gateway/answers.py",
    "services/gridsignal_services/gateway/history.py",
    "services/gridsignal_services/gateway/lastvalues.py",
    "services/gridsignal_services/gateway/rendering.py",
    "services/gridsignal_services/gateway/hub.py",
    "services/gridsignal_services/gateway/backlog.py",
    "services/gridsignal_services/gateway/cursor.py",
)
FORBIDDEN_MODULES = {
    "asyncio": "waits",
    "threading": "waits",
    "time": "reads a clock",
    "random": "rolls dice",
    "secrets": "rolls dice",
    "logging": "writes log lines",
    "structlog": "writes log lines",
    "os": "reads the environment",
    "socket": "opens connections",
    "sqlite3": "opens files",
    "subprocess": "starts processes",
    "websockets": "opens connections",
    "httpx2": "opens connections",
    "prometheus_client": "counts",
}
FORBIDDEN_CALLS = {
    "datetime.now": "reads a clock",
    "datetime.utcnow": "reads a clock",
    "datetime.today": "reads a clock",
    "date.today": "reads a clock",
    "uuid4": "rolls dice",
    "uuid.uuid4": "rolls dice",
    "uuid1": "rolls dice",
    "uuid.uuid1": "rolls dice",
    "uuid7": "reads a clock",
    "open": "opens files",
    "print": "writes",
    "input": "waits",
}
WAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)


def decisions() -> list[Source]:
    paths = {path for pattern in DECISIONS for path in ROOT.glob(pattern)}
    return [source for source in sources("schemas", "clients", "services") if source.path in paths]


def faults(source: Source) -> Iterator[str]:
    """Everything a decision must not do, each with its place."""
    for node in ast.walk(source.tree):
        if isinstance(node, WAITS):
            yield f"{source.where(node)} waits"
        elif isinstance(node, ast.Import):
            for name in node.names:
                if why := FORBIDDEN_MODULES.get(name.name.split(".")[0]):
                    yield f"{source.where(node)} imports {name.name}, which {why}"
        elif isinstance(node, ast.ImportFrom):
            if why := FORBIDDEN_MODULES.get((node.module or "").split(".")[0]):
                yield f"{source.where(node)} imports {node.module}, which {why}"
        elif why := FORBIDDEN_CALLS.get(called(node)):
            yield f"{source.where(node)} calls {called(node)}, which {why}"


def test_decisions_only_decide() -> None:
    assert_none(fault for source in decisions() for fault in faults(source))


@pytest.mark.parametrize("pattern", DECISIONS)
def test_the_list_of_decisions_names_what_exists(pattern: str) -> None:
    assert any(ROOT.glob(pattern)), f"{pattern} is no longer there: change the list"


def test_the_check_sees_a_decision_that_acts() -> None:
    text = "import random\nasync def book():\n    await now()\n    return datetime.now()\n"
    acting = Source(ROOT / "book.py", text, ast.parse(text))
    assert sorted(faults(acting)) == [
        "book.py:1 imports random, which rolls dice",
        "book.py:2 waits",
        "book.py:3 waits",
        "book.py:4 calls datetime.now, which reads a clock",
    ]
