"""Every command, and every action of a command, shows how it is used."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module

import pytest

from gridsignal.__main__ import COMMANDS


def parsers() -> Iterator[argparse.ArgumentParser]:
    for command in COMMANDS.values():
        parser = import_module(command.module).parser()
        yield parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                yield from action.choices.values()


@pytest.mark.parametrize("parser", list(parsers()), ids=lambda parser: parser.prog)
def test_the_help_holds_an_example_of_this_very_command(parser: argparse.ArgumentParser) -> None:
    _, _, examples = parser.format_help().partition("example")
    assert parser.prog in examples


def test_every_list_is_to_be_had_as_json_and_as_a_sheet() -> None:
    of_a_period = {parser.prog for parser in parsers() if "--to" in parser._option_string_actions}
    lists = {parser.prog for parser in parsers() if parser.prog.endswith((" list", " sites"))} | of_a_period
    for parser in parsers():
        if parser.prog in lists and not parser.prog.startswith("gridsignal ingest"):  # what feeds say, for a look
            assert {"--json", "--csv"} <= set(parser._option_string_actions), parser.prog
