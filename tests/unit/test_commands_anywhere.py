"""The commands on any terminal: one that knows ASCII alone, one that is closed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gridsignal.__main__ import FAILED, INTERRUPTED, OK, UNAVAILABLE, USAGE
from tests.patience import SOON_S

README = Path(__file__).parents[2] / "README.md"
_SAYS = "import sys; from gridsignal.__main__ import _use_any_output; _use_any_output(); "
ASCII = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "C"},
]


def said(code: str, **environment: str) -> bytes:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-c", _SAYS + code], capture_output=True, env=kept | environment, timeout=SOON_S
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout + done.stderr


@pytest.mark.parametrize("environment", ASCII, ids=str)
def test_what_a_terminal_can_not_show_is_escaped_as_json_escapes_it(environment: dict[str, str]) -> None:
    words = "12 \N{EURO SIGN} \N{LATIN SMALL LETTER E WITH ACUTE} \N{BATTERY}"
    line = said(f"print('\"' + {words!a} + '\"')", **environment)
    encoding = "latin-1" if environment.get("PYTHONIOENCODING") == "latin-1" else "utf-8"
    assert json.loads(line.decode(encoding)) == words


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_stream_that_is_closed_is_nowhere(closed: str) -> None:
    line = f'exec "{sys.executable}" -m gridsignal --help {closed}'
    assert subprocess.run(line, shell=True, capture_output=True, timeout=SOON_S).returncode == 0


def test_a_command_whose_output_nobody_reads_any_more_ends_with_one_and_without_a_word() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-W", "error", "-m", "gridsignal", "--help"]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=SOON_S)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_the_readme_tells_every_code_that_a_command_ends_with() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \|", README.read_text("utf-8"), re.MULTILINE)
    told = {int(code) for row in rows for code in row.split(",")}
    assert told == {OK, FAILED, USAGE, UNAVAILABLE, INTERRUPTED, 128 + signal.SIGTERM}


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-"])
def test_a_mistake_that_nobody_can_be_told_is_still_a_mistake(closed: str) -> None:
    line = f'exec "{sys.executable}" -m gridsignal nonsense {closed}'
    assert subprocess.run(line, shell=True, capture_output=True, timeout=SOON_S).returncode == 2


@pytest.mark.parametrize("environment", ASCII, ids=str)
def test_a_word_is_read_as_utf_8_wherever_it_is_typed(environment: dict[str, str]) -> None:
    word = "Gr\N{LATIN SMALL LETTER O WITH DIAERESIS}\N{LATIN SMALL LETTER SHARP S}e"
    line = said(
        f"import os; from gridsignal.__main__ import _as_utf8; print(ascii(_as_utf8(os.fsdecode({word.encode()}))))",
        **environment,
    )
    assert line.decode().strip() == ascii(word)


def test_a_word_in_another_encoding_is_named() -> None:
    command = [sys.executable, "-m", "gridsignal", "watch", b"--zone", "Gr\xf6\xdfe".encode("latin-1")]
    done = subprocess.run(command, capture_output=True, timeout=SOON_S)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"gridsignal: expected words in UTF-8, got b'Gr\\xf6\\xdfe'\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a file that is always full")
@pytest.mark.parametrize("buffered", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["in pieces", "at once"])
def test_an_output_that_is_full_is_told_in_one_line(buffered: dict[str, str]) -> None:
    line = f'exec "{sys.executable}" -m gridsignal --help > /dev/full'
    done = subprocess.run(line, shell=True, capture_output=True, timeout=SOON_S, env=os.environ | buffered)
    assert done.returncode == 1
    assert done.stderr == b"gridsignal: the output can't be written: No space left on device\n"
