"""A decision is values in, values out: no await, no clock, no chance, no log line, no environment, no file.

Decisions are named after things of the grid, edges after technologies. A new module is a decision, wherever it lies but
in the rooms of technologies; one that acts is listed below, for as long as it does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.tidy.sources import ROOT, Source, assert_none, called, sources

ROOMS_THAT_ACT = {
    "services/gridsignal_services/bus": "the log's adapters",
    "services/gridsignal_services/cache": "the cache's adapters",
    "services/gridsignal_services/cli": "commands",
    "services/gridsignal_services/demo": "a show",
    "clients/python/gridsignal/cli": "commands",
    "clients/python/examples": "programs",
}
"""Every module there may act, and why."""
ACTING = {
    "schemas": "release",
    "clients/python/gridsignal": (
        "__main__ absence background client clock connection history homeloop ids lines outbox post pytest_plugin "
        "regulating route shell signing subscription sync tls tokens upgrade websocket wiring"
    ),
    "clients/python/gridsignal/agent": (
        "answering bidding checking claiming confirming contact following foreseeing heeding job_sources kept "
        "kubeconfig metrics reporting running standing web"
    ),
    "clients/python/gridsignal/agent/actuators": (
        "__init__ battery command dsx_flex files kubernetes kubernetes_api modbus nvml programs slurm webhook simulated"
    ),
    "clients/python/gridsignal/agent/meters": "__init__ csv_file prometheus",
    "clients/python/gridsignal/testing": "clock fake records rest",
    "services/gridsignal_services/access": "issuer keys_at_url refused_tokens secret_file",
    "services/gridsignal_services/alerting": "reader",
    "services/gridsignal_services/audit": "keeping subtrees",
    "services/gridsignal_services": (
        "accepting addresses clock collecting composition embedded event_log following kept_file ops output reloading "
        "replica service_manager serving slots supervised telemetry timeouts work"
    ),
    "services/gridsignal_services/checkpoints": "files keeping saving",
    "services/gridsignal_services/console": "links pages",
    "services/gridsignal_services/dispatch": (
        "alerts archive areas baselines book_answer contacts door emissions finished http listing matching me "
        "metered metering operations orders outlook past places position products proofs registration regulation "
        "requests service setpoint_log settled_tables settlements sheet shown_heads signals statements tables "
        "totals written"
    ),
    "services/gridsignal_services/gateway": (
        "admission answering catchingup connection conversations doorway event_stream events gauges http incoming "
        "joins kernel keyfile log_access outgoing poll presence quota reception request service sources subscriptions "
        "ticker turns websocket wire"
    ),
    "services/gridsignal_services/ingest": "feeding fetching http metrics publishing push replay service transport",
    "services/gridsignal_services/metering": "meters older_readings readings",
    "services/gridsignal_services/owning": "measures owner settler telling",
    "services/gridsignal_services/rest": "asgi callers connection doorstep guard",
}
"""Elsewhere a module decides, unless it is named here: it has a socket, a file, a loop or a thread in hand."""
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


def room(source: Source) -> str:
    return source.path.parent.relative_to(ROOT).as_posix()


def is_acting(source: Source) -> bool:
    """Whether it may do more than decide."""
    return room(source) in ROOMS_THAT_ACT or source.path.stem in ACTING.get(room(source), "").split()


def modules() -> list[Source]:
    return sources("schemas", "clients", "services")


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


def test_whatever_is_not_said_to_act_only_decides() -> None:
    assert_none(fault for source in modules() if not is_acting(source) for fault in faults(source))


def test_whatever_is_said_to_act_does() -> None:
    acting = {(room(source), source.path.stem) for source in modules() if any(faults(source))}
    named = {(place, name) for place, names in ACTING.items() for name in names.split()}
    assert_none(f"{place}/{name}.py only decides, or is gone: take it off the list" for place, name in named - acting)
    idle = ROOMS_THAT_ACT.keys() - {place for place, _ in acting}
    assert_none(f"nothing acts in {place}: take it off the list" for place in idle)


def test_the_check_sees_a_decision_that_acts() -> None:
    text = "import random\nasync def book():\n    await now()\n    return datetime.now()\n"
    acting = Source(ROOT / "book.py", text, ast.parse(text))
    assert sorted(faults(acting)) == [
        "book.py:1 imports random, which rolls dice",
        "book.py:2 waits",
        "book.py:3 waits",
        "book.py:4 calls datetime.now, which reads a clock",
    ]
