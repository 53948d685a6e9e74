"""A service's lines when nobody reads them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from gridsignal_services.output import Output, counted


def dropped() -> float:
    return counted.get_sample_value("gridsignal_log_lines_dropped_total") or 0.0


@contextmanager
def pipe() -> Iterator[tuple[int, io.TextIOWrapper]]:
    there, here = os.pipe()
    with os.fdopen(here, "w", encoding="ascii") as stream:
        yield there, stream


def read_all(there: int) -> str:
    with os.fdopen(there, "rb") as stream:
        return stream.read().decode()


def test_lines_come_whole_and_in_order() -> None:
    with pipe() as (there, stream):
        output = Output(stream)
        for number in range(100):
            output.write(f"line {number}\n")
        output.close()
    assert read_all(there).splitlines() == [f"line {number}" for number in range(100)]


def test_what_a_terminal_can_not_show_is_written_all_the_same() -> None:
    with pipe() as (there, stream):
        output = Output(stream)
        output.write("12 \N{EURO SIGN}\n")
        output.close()
    assert read_all(there) == "12 \\u20ac\n"


def test_a_pipe_that_nobody_reads_any_more_stops_nobody_and_what_it_lost_is_counted() -> None:
    before = dropped()
    with pipe() as (there, stream):
        os.close(there)
        output = Output(stream)
        for _ in range(10):
            output.write("into the void\n")
        output.close()
    assert dropped() - before == 10


def test_a_full_pipe_costs_lines_and_says_how_many() -> None:
    before = dropped()
    with ThreadPoolExecutor(1) as others:
        with pipe() as (there, stream):
            output = Output(stream, notice=lambda dropped: f"{dropped} dropped\n", lines=10)
            for _ in range(100):
                output.write("x" * 65_535 + "\n")  # each fills a pipe
            reading = others.submit(read_all, there)
            output.close()
        lines = reading.result().splitlines()
    notices = [int(line.split()[0]) for line in lines if line.endswith("dropped")]
    assert sum(notices) >= 100 - 10 - 2  # in the queue, in the pipe, under way
    assert len(lines) - len(notices) + sum(notices) == 100
    assert dropped() - before == sum(notices)


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_stream_that_is_none_or_no_file_is_taken(stream: io.StringIO | None) -> None:
    output = Output(stream)
    output.write("a line\n")
    output.close()
    assert stream is None or stream.getvalue() == "a line\n"


def test_a_closed_stream_stops_nobody() -> None:
    before = dropped()
    stream = io.StringIO()
    output = Output(stream)
    stream.close()
    output.write("a line\n")
    assert dropped() - before == 1
