"""Every command, and every action of a command, shows how it is used."""

from __future__ import annotations

import argparse
import re
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


def test_what_an_error_calls_a_word_is_what_the_usage_calls_it() -> None:
    for parser in parsers():
        shown = set(re.findall(r"[\w-]+", parser.format_usage()))
        for action in parser._actions:
            if action.required or not action.option_strings:
                name = argparse.ArgumentError(action, "").argument_name or ""
                assert set(re.findall(r"[\w-]+", name)) & shown, (parser.prog, name)


@pytest.mark.parametrize(
    "words",
    [
        "order list --zon DE-LU",
        "order show x --jsn",
        "respond accept x --cos y",
        "watch prices --onse",
        "offer list x",
    ],
)
def test_a_word_too_many_is_told_by_the_action_that_does_not_know_it(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *rest = words.split()
    parser = import_module(COMMANDS[command].module).parser()
    with pytest.raises(SystemExit):
        parser.parse_args(rest)
    name = f"gridsignal {command}" if command == "watch" else f"gridsignal {command} {rest[0]}"
    told, hint = capsys.readouterr().err.splitlines()
    assert told.startswith(f"{name}: expected nothing more")
    assert words.split()[-1] in told
    assert hint == f"Try: {name} --help"


def test_every_list_is_to_be_had_as_json_and_as_a_sheet() -> None:
    of_a_period = {parser.prog for parser in parsers() if "--to" in parser._option_string_actions}
    lists = {parser.prog for parser in parsers() if parser.prog.endswith((" list", " sites"))} | of_a_period
    lists.remove("gridsignal audit export")  # it writes files
    for parser in parsers():
        if parser.prog in lists and not parser.prog.startswith("gridsignal ingest"):  # what feeds say, for a look
            assert {"--json", "--csv"} <= set(parser._option_string_actions), parser.prog
