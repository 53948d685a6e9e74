"""Nobody writes to somebody else's terminal: control characters are refused where we write, spelled out where shown."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import pytest
from pydantic import ValidationError

from gridsignal.cli.tables import printable, show, show_rows
from gridsignal_schemas.messages import TOLERANT, GridAlert
from tests.builders import a_dispatch_request, a_grid_alert, an_order_response

CLEAR_SCREEN = "\x1b[2J"
HOSTILE = [CLEAR_SCREEN, "\x07", "\x00", "\x9b2J", "a\rb", "‮12 MW‬", "\u2028"]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_texts_and_names_with_control_characters_are_refused_by_name(text: str) -> None:
    for build in (
        lambda: a_dispatch_request(text=text),
        lambda: a_dispatch_request(product=text),
        lambda: an_order_response(reason=text),
        lambda: an_order_response(actor=text),
    ):
        with pytest.raises(ValidationError, match=r"without control characters, got U\+[0-9A-F]{4} at [0-9]"):
            build()


def test_lines_are_for_texts_and_not_for_names() -> None:
    assert a_dispatch_request(text="one\n\ttwo").text == "one\n\ttwo"
    with pytest.raises(ValidationError, match=r"got U\+000A at 3"):
        a_dispatch_request(product="one\ntwo")


def test_what_was_written_before_stays_readable() -> None:
    written = a_grid_alert().model_dump() | {"text": CLEAR_SCREEN}
    assert GridAlert.model_validate(written, context=TOLERANT).text == CLEAR_SCREEN


@pytest.mark.parametrize("text", [*HOSTILE, "two\nlines"], ids=ascii)
def test_what_is_shown_is_spelled_out(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode().decode("unicode_escape") == text


class Screen(io.StringIO):
    """Standard output as it is at a terminal, or in a pipe."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize("is_terminal", [True, False])
def test_tables_and_lines_take_what_comes_from_elsewhere_as_text(is_terminal: bool) -> None:
    hostile = a_grid_alert().model_dump() | {"text": f"{CLEAR_SCREEN}[/red]"}
    with redirect_stdout(Screen(is_terminal)) as screen:
        show_rows(f"title{CLEAR_SCREEN}", ("[bold]",), [(f"cell{CLEAR_SCREEN}[/red]",)])
        show(GridAlert.model_validate(hostile, context=TOLERANT), as_json=False)
    said = screen.getvalue()
    assert CLEAR_SCREEN not in said
    assert said.count("\\x1b[2J") == 3
    assert said.count("[/red]") == 2
