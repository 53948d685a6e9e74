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
