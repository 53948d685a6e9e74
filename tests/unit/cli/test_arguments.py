"""What a person types: a number without its unit is a question, and whatever is wrong is one line and a hint."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal.cli.arguments import TIMES, Arguments, moment, port, power_w, price, span
from gridsignal.cli.grid_time import VARIABLE
from tests.unit.test_help import parsers

NOW = datetime(2024, 5, 12, 16, 30, tzinfo=UTC)
NUMBERS = st.decimals(min_value=0, max_value=10**9, places=3).map(str) | st.integers(0, 10**9).map(str)


def quantities(metavar: str) -> Iterator[tuple[argparse.ArgumentParser, argparse.Action]]:
    for parser in parsers():
        for action in parser._actions:
            if action.metavar == metavar:
                yield parser, action


@given(NUMBERS)
def test_a_power_without_a_unit_is_a_question(number: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=rf"^{number} what\? Write {number}MW or {number}kW\.$"):
        power_w(number)


@pytest.mark.parametrize("metavar", ["POWER", "PARTICIPANT/OFFER_ID/OPTION=POWER"])
def test_every_option_that_takes_power_asks_for_the_unit(metavar: str) -> None:
    found = list(quantities(metavar))
    assert found
    for _, action in found:
        assert callable(action.type)
        with pytest.raises(argparse.ArgumentTypeError, match="12 what"):
            action.type("12" if metavar == "POWER" else "a/b/c=12")


def test_every_option_that_names_a_power_takes_it_with_its_unit() -> None:
    """A new option of watts, or of money, goes through the same reading."""
    for metavar, reading in (("POWER", power_w), ("PRICE", price), ("SPAN", span), ("TIME", moment)):
        assert {action.type for _, action in quantities(metavar)} == {reading}


@pytest.mark.parametrize("text", ["12MW", "12 MW", "12mw", " 12Mw ", "12000kW", "12000 KW", "0.012GW", "12000000 W"])
def test_one_power_in_many_spellings(text: str) -> None:
    assert power_w(text) == 12_000_000


@pytest.mark.parametrize("text", ["12mW", "12 mW"])
def test_milliwatts_are_asked_about(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"milliwatts\. Write 12MW"):
        power_w(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MW",
        "lots",
        "-12MW",
        "12,5MW",
        "1.5W",
        "0MW",
        "11GW",
        "9" * 400,
        "9" * 400 + "MW",
        "0." + "9" * 400 + "MW",
        "12MWh",
        "12 kWh",
        "12EUR",
        "12 M W",
        "1e3MW",
        "\u0661\u0662MW",
        "12MW12MW",
        "NaN MW",
        "infMW",
        "12\u200bMW",
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_what_is_no_power_is_refused_in_a_few_words(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as told:
        power_w(text)
    assert len(str(told.value)) < 200


@pytest.mark.parametrize(("text", "read"), [("89.90", "89.9"), ("90", "90"), ("-5", "-5"), (" 0.0001", "0.0001")])
def test_a_price_is_the_contracts_money(text: str, read: str) -> None:
    assert price(text) == read


@pytest.mark.parametrize("text", ["", "cheap", "90EUR", "90 EUR/MWh", "89,90", "1e3", "0.00001", "NaN", "9" * 400])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"such as 89\.90"):
        price(text)


@pytest.mark.parametrize(("text", "read"), [("45m", 2700), ("90s", 90), ("2h", 7200), ("1 d", 86_400)])
def test_a_length_of_time_has_its_unit(text: str, read: int) -> None:
    assert span(text) == timedelta(seconds=read)


@given(st.integers(0, 10**9))
def test_a_length_of_time_without_a_unit_is_a_question(number: int) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"what\?"):
        span(str(number))


# --- times ------------------------------------------------------------------------------------------------------

_OF_TIMES = {"--from", "--to", "--until", "--start", "--end", "--gate", "--decide", "--as-of", "--now"}


@pytest.fixture
def _at_half_past_four(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grid whose clock stands."""
    monkeypatch.setenv(VARIABLE, f"{NOW.isoformat()} 0 {NOW.isoformat()}")


def test_every_option_of_a_time_has_the_one_reader_and_its_help_says_how_times_are_written() -> None:
    for parser in parsers():
        times = [action for action in parser._actions if _OF_TIMES & set(action.option_strings)]
        assert {action.metavar for action in times} <= {"TIME"}
        assert (TIMES in parser.format_help()) == bool(times)


@pytest.mark.usefixtures("_at_half_past_four")
@pytest.mark.parametrize(
    ("words", "read"),
    [
        (["--from", "-1d"], "2024-05-11T16:30Z"),
        (["--from=-90m"], "2024-05-12T15:00Z"),
        (["--from", "+2h"], "2024-05-12T18:30Z"),
        (["--from", "2024-05-12"], "2024-05-11T22:00Z"),
        (["--zone", "GB", "--from", "2024-05-12"], "2024-05-11T23:00Z"),
        (["--from", "2024-05-12", "--zone", "FI"], "2024-05-11T21:00Z"),
        (["--from", "2024-01-12", "--zone", "DE-LU"], "2024-01-11T23:00Z"),
        (["--from", "2024-05-12T18:00+02:00"], "2024-05-12T16:00Z"),
        (["--from", "2024-05-12T18:00Z"], "2024-05-12T18:00Z"),
        (["--from", "2024-05-12 18:00+0200"], "2024-05-12T16:00Z"),  # as tables show it
    ],
)
def test_a_time_is_read_in_every_way_that_people_write_it(words: list[str], read: str) -> None:
    arguments = Arguments(prog="gridsignal try")
    arguments.add_argument("--zone")
    arguments.add_argument("--from", dest="since", type=moment, metavar="TIME")
    assert arguments.parse_args(words).since == datetime.fromisoformat(read)


@pytest.mark.usefixtures("_at_half_past_four")
@pytest.mark.parametrize("typed", ["-1d", "2024-05-12"])
def test_every_command_takes_a_day_and_a_time_that_is_past(typed: str) -> None:
    """As far as its words go: what makes no sense of it is refused by what follows."""
    for parser, action in quantities("TIME"):
        option = action.option_strings[0]
        alone = type(parser)(prog=parser.prog)
        alone.add_argument("--zone")
        alone.add_argument("--feeds")
        alone.add_argument(option, dest="at", type=action.type, metavar="TIME")
        assert isinstance(alone.parse_args(["--zone", "DE-LU", option, typed]).at, datetime), (parser.prog, option)


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2030-01-01T00:00", "2024-13-01", "1h", "+", "-", "--1d", "+-1d", "-0h", "1800-01-01", "20240512"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"expected a (time|length of time) such as|what"):
        moment(text)


@pytest.mark.parametrize("parser", list(parsers()), ids=lambda parser: parser.prog)
def test_wrong_words_are_one_line_and_a_hint(
    parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--no-such-option", "\x1b[2J"])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith("gridsignal ")
    assert second == f"Try: {first.partition(':')[0]} --help"
    assert "\x1b" not in err


def test_the_line_names_the_option_and_the_question(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = Arguments(prog="gridsignal try")
    arguments.add_argument("--down", type=power_w)
    with pytest.raises(SystemExit):
        arguments.parse_args(["--down", "12"])
    assert capsys.readouterr().err.splitlines()[0] == "gridsignal try: --down: 12 what? Write 12MW or 12kW."


def test_a_port_is_a_number_that_a_port_can_have() -> None:
    assert [port(text) for text in ("0", "8081", "65535")] == [0, 8081, 65_535]
    for text in ("x", "-1", "65536", "1.5", "", "\u0668", "9" * 50):
        with pytest.raises(argparse.ArgumentTypeError, match=r"^expected a number from 0 to 65535, got "):
            port(text)


@pytest.mark.parametrize("parser", list(parsers()), ids=lambda parser: parser.prog)
def test_a_word_that_an_option_does_not_take_is_answered_in_our_words(parser: argparse.ArgumentParser) -> None:
    """Python's own are "invalid int value" and "invalid choice"."""
    for action in parser._actions:
        if action.type is not None or action.choices is not None:
            assert "invalid" not in refusal(parser, action)


def refusal(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """What a parser says to a word that nobody types."""
    try:
        parser._check_value(action, parser._get_value(action, "\x07"))  # type: ignore[attr-defined]  # argparse says it to no one else
    except argparse.ArgumentError as wrong:
        return str(wrong)
    return ""
