"""A time that a person reads ends in Z, in each message of each service and of the client."""

from __future__ import annotations

import ast

from tests.tidy.sources import Source, assert_none, called, sources


def other_ways(source: Source) -> list[str]:
    """Times put into a text by isoformat, which writes +00:00; `rfc3339` writes what the contract has."""
    return [
        source.where(node)
        for text in ast.walk(source.tree)
        if isinstance(text, ast.JoinedStr)
        for node in ast.walk(text)
        if called(node).endswith(".isoformat")
    ] + [
        source.where(node)
        for node in ast.walk(source.tree)
        if called(node).endswith(".replace") and "'+00:00'" in ast.unparse(node)
    ]


def clocks(source: Source) -> list[str]:
    """Times of day that are put into a text by a format of their own; `when` writes them in market time."""
    formats = [node for node in ast.walk(source.tree) if isinstance(node, ast.FormattedValue) and node.format_spec]
    return [source.where(node) for node in formats if "%H" in ast.unparse(node.format_spec or node)]


def test_every_time_that_a_command_shows_is_by_one_clock() -> None:
    commands = sources("services/gridsignal_services/cli", "clients/python/gridsignal/cli")
    # what a feed said by its market's clock; a file for programs; hours of the time zone that was typed
    elsewhere = ("ingest_lines.py", "revoking.py", "baseline_shown.py")
    assert_none(where for source in commands if not source.name.endswith(elsewhere) for where in clocks(source))


def test_every_time_in_a_text_is_written_like_the_contracts() -> None:
    spoken = sources("services", "clients", "schemas/gridsignal_schemas/rules")
    assert_none(where for source in spoken for where in other_ways(source))
