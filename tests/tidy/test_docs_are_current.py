"""Documentation that repeats the code is written from it; what it names exists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from docs import asyncapi, generate
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.frames import CLIENT_FRAMES, SERVER_FRAMES
from tests.tidy.sources import ROOT, assert_none, files

LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)\s#]+)")
PAGES = [path for path in files() if path.suffix == ".md"]
ASYNCAPI: dict[str, Any] = json.loads((ROOT / "schemas" / "asyncapi.json").read_text("utf-8"))


def test_the_generated_parts_are_current() -> None:
    assert_none(f"{name}: run make docs" for name in generate.outdated())


def test_a_part_that_nobody_makes_is_an_error() -> None:
    with pytest.raises(KeyError):
        generate.filled("<!-- generated: weather -->\n<!-- end -->")


def test_what_is_generated_stays_between_its_marks() -> None:
    page = "before\n<!-- generated: topics -->\nold\n<!-- end -->\nafter\n"
    filled = generate.filled(page)
    assert "old" not in filled
    assert filled.startswith("before\n<!-- generated: topics -->\n| stream |")
    assert filled.endswith("<!-- end -->\nafter\n")
    assert generate.filled(filled) == filled


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_links_to_exists(page: Path) -> None:
    targets = LINK.findall(page.read_text("utf-8"))
    assert_none(f"{page.name}: {target}" for target in targets if not (page.parent / target).exists())


@pytest.mark.parametrize("words", ["make demo", "make test"])
def test_the_readme_shows_the_two_commands(words: str) -> None:
    assert words in (ROOT / "README.md").read_text("utf-8")


def test_every_word_of_the_makefile_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    words = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    assert words == set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        found = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return found + [each for value in part.values() for each in references(value)]
    return [each for value in part for each in references(value)] if isinstance(part, list) else []


def resolves(reference: str) -> bool:
    if not reference.startswith("#/"):
        return (ROOT / "schemas" / reference).exists()
    place: Any = ASYNCAPI
    for step in reference.removeprefix("#/").split("/"):
        if not isinstance(place, dict) or step not in place:
            return False
        place = place[step]
    return True


def test_everything_the_asyncapi_document_refers_to_is_in_it() -> None:
    assert_none(sorted({reference for reference in references(ASYNCAPI) if not resolves(reference)}))


def test_the_asyncapi_document_describes_every_frame_and_every_topic() -> None:
    assert set(asyncapi.REPLIES) == set(CLIENT_FRAMES)
    assert set(ASYNCAPI["channels"]["stream"]["messages"]) == {*CLIENT_FRAMES, *SERVER_FRAMES}
    assert {channel["address"] for channel in ASYNCAPI["channels"].values()} == {
        "/v1/stream",
        *(topic.name for topic in TOPICS.values()),
    }
    told = {name for name, operation in ASYNCAPI["operations"].items() if operation["action"] == "receive"}
    assert told == set(CLIENT_FRAMES)


def test_money_in_the_asyncapi_document_is_text() -> None:
    price = ASYNCAPI["components"]["schemas"]["SpotPrice"]["properties"]["prices_per_mwh"]["items"]["anyOf"]
    assert {option["type"] for option in price} == {"string", "null"}


def test_a_measured_figure_of_the_sizing_page_stands_in_the_benchmarks() -> None:
    page = (ROOT / "docs" / "limits-and-sizing.md").read_text("utf-8")
    measured = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    figures = [bold for bold in re.findall(r"\*\*([^*]+)\*\*", page) if re.search(r"\d", bold)]
    assert figures
    assert_none(figure for figure in figures if figure not in measured)


def test_every_limit_of_the_sizing_page_is_that_of_the_settings() -> None:
    page = (ROOT / "docs" / "limits-and-sizing.md").read_text("utf-8")
    settings = (ROOT / "docs" / "settings.md").read_text("utf-8")
    rows = re.findall(r"^\| (?P<bound>[\d,]+) [^|]* \| `(?P<name>\w+)` \|", page, re.MULTILINE)
    assert rows
    known = dict(re.findall(r"^\| `(\w+)` \| `?([\d.]+)`? \|", settings, re.MULTILINE))
    assert {name: float(bound.replace(",", "")) for bound, name in rows} == {
        name: float(known[name]) for _, name in rows
    }


def test_every_page_is_in_the_contents_of_the_site() -> None:
    contents = set(
        re.findall(r"^\.\./([\w-]+)$", (ROOT / "docs" / "site" / "index.md").read_text("utf-8"), re.MULTILINE)
    )
    assert_none(sorted({path.stem for path in (ROOT / "docs").glob("*.md")} - contents))


def test_decisions_are_numbered_one_by_one() -> None:
    heads = {path.name[:4]: path.read_text("utf-8").partition(".")[0] for path in (ROOT / "docs" / "adr").glob("0*.md")}
    assert len(heads) == len(list((ROOT / "docs" / "adr").glob("0*.md")))
    assert heads == {f"{number:04}": f"# {number}" for number in range(1, len(heads) + 1)}
