"""docs/walk.md: each step of its walks is a function of the file that it names, and is taken in that order."""

from __future__ import annotations

import ast
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import httpx2
import pytest

from gridsignal_schemas.messages import DispatchOrder, DispatchRequest, OfferDecision, SpotPrice
from gridsignal_services.access import SIGNAL_WRITE
from tests.builders import utc
from tests.journey.conftest import TEN_MW, World, hear, stepped_world
from tests.patience import SOON_S
from tests.tidy.sources import ROOT

PAGE = ROOT / "docs" / "walk.md"
_STEP = re.compile(r"^\d+\. \[`(?P<name>[\w.]+)`\]\((?P<file>[^)]+)\)", re.MULTILINE)
_NAMED = re.compile(r"\[`(?P<name>[\w.]+)`\]\((?P<file>[^)]+\.py)\)")


class Step(NamedTuple):
    """A function, by its file from the root and its qualified name."""

    file: str
    name: str


def steps_of(title: str) -> list[Step]:
    """The steps of one walk of the page."""
    (section,) = re.findall(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return [Step(_from_root(found["file"]), found["name"]) for found in _STEP.finditer(section)]


def _from_root(link: str) -> str:
    return (PAGE.parent / link).resolve().relative_to(ROOT).as_posix()


def first_not_taken(steps: Sequence[Step], taken: Sequence[Step]) -> Step | None:
    """The first step that does not come after those before it; None where all are taken in their order."""
    rest = iter(taken)
    return next((step for step in steps if step not in rest), None)


class Trail:
    """Every function of ours that is called while somebody looks, in order, in whatever thread."""

    def __init__(self) -> None:
        self._taken: list[Step] = []
        self._looking = False
        self._root = f"{ROOT}/"

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and self._looking and (file := frame.f_code.co_filename).startswith(self._root):
            self._taken.append(Step(file.removeprefix(self._root), frame.f_code.co_qualname))

    @contextmanager
    def walk(self, title: str) -> Iterator[None]:
        """What the block does goes the way that the page tells."""
        self._taken.clear()
        self._looking = True
        yield
        self._looking = False
        steps = steps_of(title)
        assert steps
        missing = first_not_taken(steps, self._taken)
        assert missing is None, f"{title}: {missing} is not taken" + " in its turn" * (missing in self._taken)


@pytest.fixture
def trail() -> Iterator[Trail]:
    """Looks at each thread that begins from here on, and at this one."""
    made, before = Trail(), sys.getprofile()
    threading.setprofile(made)
    sys.setprofile(made)
    yield made
    sys.setprofile(before)
    threading.setprofile(None)


async def push_a_price(world: World, starts_at: str) -> None:
    """tso-north pushes a day."""
    token = world.stack.issuer.mint("operator", "tso-north", "t", [SIGNAL_WRITE], 60, datetime.now(UTC))
    day = {"zone": "DE-LU", "product": "DAY_AHEAD", "dataset": "TEST", "currency": "EUR", "resolution_s": 3600}
    day |= {"starts_at": starts_at, "prices_per_mwh": ["1"] * 24}
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=world.stack.feeds_url, headers=headers, timeout=SOON_S) as desk:
        answer = await desk.post("/v1/signals/prices", json=day)
    assert answer.status_code == 201, answer.text


async def test_everything_goes_the_way_that_the_page_tells(trail: Trail, tmp_path: Path) -> None:
    async with (
        stepped_world(tmp_path) as world,
        world.site("acme-ai", "fra-1", outbox=str(tmp_path / "outbox")) as site,
    ):
        prices, dispatch = site.subscribe("prices", zones=["DE-LU"]), site.subscribe("dispatch", zones=["DE-LU"])
        await push_a_price(world, "2024-05-11T22:00:00Z")
        await hear(prices, SpotPrice)
        with trail.walk("A price"):
            await push_a_price(world, "2024-05-12T22:00:00Z")
            await hear(prices, SpotPrice)
        await world.ask()
        request = await hear(dispatch, DispatchRequest)
        with trail.walk("An offer"):
            await site.offer(request, TEN_MW, "80")
            await hear(dispatch, OfferDecision)
        with trail.walk("An order"):
            await world.reach(utc("17:00"))
            order = await hear(dispatch, DispatchOrder)
            await site.accept(order)
        await world.reach(utc("18:50"))
        with trail.walk("What it is worth"):
            for quarter in range(3):
                start = utc("18:00") + quarter * timedelta(minutes=15)
                await site.meter(
                    meter="main", point="CONNECTION", starts_at=start, ends_at=start + timedelta(minutes=15),
                    import_w=TEN_MW, export_w=0, quality="OK", seq=quarter,
                )  # fmt: skip
            async with world.desk() as desk:
                answer = await desk.get(f"/v1/orders/{order.order_id}")
    assert answer.json()["amount"] is not None, answer.text


def test_every_function_that_the_page_names_is_in_its_file() -> None:
    lacking = []
    for found in _NAMED.finditer(PAGE.read_text("utf-8")):
        file = _from_root(found["file"])
        names = {Path(file).name}
        for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                names |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, _FUNCTIONS)}
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(node.name)
        if found["name"] not in names:
            lacking.append(f"{file}: {found['name']}")
    assert not lacking


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_a_step_that_is_missing_or_out_of_turn_is_told() -> None:
    one, two, three = (Step("a.py", name) for name in ("one", "two", "three"))
    assert first_not_taken([one, three], [one, two, three]) is None
    assert first_not_taken([one, three], [one, two]) == three
    assert first_not_taken([two, one], [one, two]) == one
