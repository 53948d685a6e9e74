"""The fixtures that the SDK brings to the tests of somebody's own program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import SOON_S

ROOT = Path(__file__).parents[2]
_HELPED = re.compile(r"help\(gridsignal\.([\w.]+)\)")
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
_USED = re.compile(r"\bgridsignal\.((?:sync\.|frames\.)?[a-zA-Z]\w*)\b(?=[(),:\]]| as )")
pytest_plugins = ["pytester"]

A_PROGRAMS_TEST = """
from datetime import timedelta

import gridsignal
from gridsignal import MW, FlexOffer


async def test_it_offers(fake_grid):
    async with gridsignal.connect(fake_grid.url, token=fake_grid.token, site="fra-1", outbox=":memory:") as grid:
        signals = grid.subscribe("dispatch")
        fake_grid.ask(12 * MW)
        request = await anext(signals)
        await grid.offer(request, power_w=12 * MW, price_per_mwh="90")
    assert (await fake_grid.next(FlexOffer)).request_id == request.request_id


async def test_time_is_the_tests(fake_grid, fake_clock):
    there = {"token": fake_grid.token, "site": "fra-1", "outbox": ":memory:", "clock": fake_clock}
    async with gridsignal.connect(fake_grid.url, **there) as grid:
        request = fake_grid.ask(12 * MW)
        await grid.offer(request, power_w=12 * MW, price_per_mwh="90")
        order = fake_grid.award(await fake_grid.next(FlexOffer))
        fake_clock.move_to(order.respond_by - timedelta(seconds=1))
        await grid.accept(order)
        fake_clock.move_to(order.starts_at)
        (standing,) = await grid.orders()
        assert (fake_grid.now(), standing.state) == (order.starts_at, "ACTIVE")
"""


def test_pytest_finds_the_fixtures_by_itself(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(A_PROGRAMS_TEST)
    pytester.makeini("[pytest]\nasyncio_mode = auto")
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_the_page_on_clients_has_a_test_that_runs(pytester: pytest.Pytester) -> None:
    page = (ROOT / "docs" / "clients.md").read_text("utf-8")
    (example,) = [part for part in page.split("```python\n")[1:] if "async def test_" in part]
    pytester.makepyfile(example.split("```")[0])
    pytester.makeini("[pytest]\nasyncio_mode = auto")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_what_the_pages_name_is_there_once_the_sdk_is_imported() -> None:
    """In a process of its own: here others have imported the rest."""
    pages = "".join((ROOT / page).read_text("utf-8") for page in ("README.md", "docs/clients.md", "docs/tutorial.md"))
    named = sorted(
        {*_HELPED.findall(pages), *(name for part in _PYTHON.findall(pages) for name in _USED.findall(part))}
    )
    assert {"pytest_plugin", "connect", "GridsignalError"} <= set(named)
    code = f"import gridsignal, operator\nfor name in {named}: operator.attrgetter(name)(gridsignal)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=SOON_S, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_program_without_it_loads_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import sys\n\ndef test_it():\n    assert 'gridsignal.testing.fake' not in sys.modules\n")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
