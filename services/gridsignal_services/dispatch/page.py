"""Pages to print: HTML that holds all it needs, without a script and without a network.

A page is put together as a tree of elements, so that whatever somebody wrote in a record can be nothing but text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from gridsignal_schemas.reports import Basis
from gridsignal_schemas.values import text_of_decimal

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Whoever opens the file is held to it, too."""
_STYLE = """
body { font: 10pt/1.4 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; color: #111; }
h1 { font-size: 1.5em; } h2 { font-size: 1.1em; margin-top: 2em; border-top: 1px solid #999; padding-top: 0.6em; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.15em 0.5em; border-bottom: 1px solid #ddd; vertical-align: top; }
th { font-weight: 600; } .figure { text-align: right; white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1em; margin: 0.5em 0; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
svg { width: 100%; height: auto; margin: 0.5em 0; } .warning { font-weight: 600; }
.whole { fill: none; stroke: #111; } .part { fill: #4a7fb5; } .unknown { fill: #ddd; }
.axis { stroke: #999; } svg text { font-size: 11px; fill: #111; }
@media print {
  @page { margin: 15mm; }
  body { margin: 0; max-width: none; padding: 0; font-size: 9pt; }
  thead { display: table-header-group; } tr, svg, dl { break-inside: avoid; } h2 { break-after: avoid; }
  .part, .unknown { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
_WIDTH, _HEIGHT, _TOP = 800, 120, 20


class Bar(NamedTuple):
    """An interval of a chart, in watt-hours."""

    whole_wh: int
    part_wh: int | None
    """None: not known."""


def new_page(title: str, more_style: str = "") -> tuple[Element, Element]:
    """A page with its heading, and its body; `more_style` comes after the style that all have."""
    page = Element("html", lang="en")
    head = SubElement(page, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY})
    text(head, "title", title)
    text(head, "style", _STYLE + more_style)
    body = SubElement(SubElement(page, "body"), "main")
    text(body, "h1", title)
    return page, body


def written_page(page: Element) -> str:
    """The page as text."""
    return "<!doctype html>\n" + tostring(page, encoding="unicode", method="html") + "\n"


def pieces_of(page: Element, parts: Iterable[Element]) -> Iterator[str]:
    """A long page as text, with these parts at its end: all before them, each of them, and what closes it."""
    before, end, after = written_page(page).rpartition("</main>")
    yield before
    for part in parts:
        yield tostring(part, encoding="unicode", method="html")
    yield end + after


def chart(parent: Element, what: str, label: str, bars: Sequence[Bar]) -> None:
    """The whole as an outline, the part filled, grey where it is not known; by intervals of equal width."""
    top = max([1, *(max(bar.whole_wh, bar.part_wh or 0) for bar in bars)])
    height = _TOP + _HEIGHT
    svg = SubElement(parent, "svg", {"viewBox": f"0 0 {_WIDTH} {height + 4}", "role": "img", "aria-label": label})
    text(svg, "text", f"{what}; highest {top} Wh").attrib.update(x="0", y="12")
    for at, bar in enumerate(bars):
        left, right = (_WIDTH * each // len(bars) for each in (at, at + 1))
        width = max(1, right - left - 1)
        known = bar.part_wh is not None
        for kind, energy in (("part" if known else "unknown", bar.part_wh), ("whole", bar.whole_wh)):
            tall = _HEIGHT * (top if energy is None else energy) // top
            place = {"x": left, "y": height - tall, "width": width, "height": tall}
            SubElement(svg, "rect", {"class": kind} | {key: str(value) for key, value in place.items()})
    SubElement(svg, "line", {"class": "axis", "x1": "0", "y1": str(height), "x2": str(_WIDTH), "y2": str(height)})


def text(parent: Element, tag: str, said: str, kind: str = "") -> Element:
    """An element with a text."""
    element = SubElement(parent, tag, {"class": kind} if kind else {})
    element.text = said
    return element


def facts(parent: Element, *found: tuple[str, str]) -> None:
    """A list of what is so."""
    listed = SubElement(parent, "dl")
    for name, said in found:
        text(listed, "dt", name)
        text(listed, "dd", said)


def table(parent: Element, headings: Sequence[str], rows: Iterable[Sequence[str]], figures: Sequence[int] = ()) -> None:
    """A table; `figures` are the columns that stand to the right."""
    kinds = ["figure" if column in figures else "" for column in range(len(headings))]
    element = SubElement(parent, "table")
    line = SubElement(SubElement(element, "thead"), "tr")
    for heading, kind in zip(headings, kinds, strict=True):
        text(line, "th", heading, kind)
    body = SubElement(element, "tbody")
    for row in rows:
        line = SubElement(body, "tr")
        for cell, kind in zip(row, kinds, strict=True):
            text(line, "td", cell, kind)


def money(amount: Decimal) -> str:
    """As the records have it."""
    return text_of_decimal(amount)


def when(moment: datetime, zone_time: tzinfo) -> str:
    """By the zone's clock with its offset, as exact as it is."""
    return moment.astimezone(zone_time).isoformat(" ")


def named(basis: Basis | None) -> str:
    """Of what figures of carbon are."""
    return "none known" if basis is None else f"{basis.scope} {basis.mix}, {basis.provider} {basis.dataset}"
