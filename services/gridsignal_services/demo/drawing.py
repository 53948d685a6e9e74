"""Charts of a page as SVG: steps over a day, a merit order, pairs of bars. Values in, elements out; no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement

from gridsignal_services.dispatch.page import text

STYLE = """
body { font-size: 11pt; }
:root { color-scheme: light dark; --text: #14222b; --quiet: #4c5d68; --line: #d3dce2; --back: #fff; --card: #f2f6f8;
  --first: #0b5c6b; --second: #8a4b00; --lost: #8b979f; --bad: #a8201a; --mark: #0b5c6b22; }
@media (prefers-color-scheme: dark) { :root { --text: #e6eef2; --quiet: #a3b4be; --line: #33434d; --back: #10181d;
  --card: #18242b; --first: #7fd1e0; --second: #f2b866; --lost: #6b7a84; --bad: #ff9d94; --mark: #7fd1e033; } }
body { color: var(--text); background: var(--back); } dt { color: var(--quiet); }
th, td { border-color: var(--line); } h2 { border-color: var(--line); } h3 { font-size: 1em; }
svg text { fill: var(--quiet); } .grid { stroke: var(--line); } .zero { stroke: var(--quiet); }
.line { fill: none; stroke-width: 2; } .first { stroke: var(--first); } .second { stroke: var(--second);
  stroke-dasharray: 6 3; } .span { fill: var(--mark); } .asked { stroke: var(--bad); stroke-width: 2; }
.kept, .ordered { stroke: var(--text); stroke-width: 0.5; } .kept { fill: var(--first); }
.ordered { fill: none; stroke-width: 1; }
.failed { fill: var(--second); stroke: var(--text); stroke-width: 2; stroke-dasharray: 3 2; }
.lost { fill: var(--card); stroke: var(--lost); stroke-dasharray: 3 2; }
.table { overflow-x: auto; } .table svg { min-width: 40em; } .headline { font-size: 1.15em; }
"""
"""What a page with these charts needs beside its own style."""

_WIDE, _HIGH, _LEFT, _RIGHT, _TOP, _BOTTOM = 900, 240, 56, 12, 24, 26


class Steps(NamedTuple):
    """A line in steps; None is a gap."""

    name: str
    kind: str
    """`first` or `second`."""
    points: Sequence[tuple[datetime, datetime, float | None]]


class Span(NamedTuple):
    """A period that is marked."""

    starts_at: datetime
    ends_at: datetime
    said: str


class Block(NamedTuple):
    """An offer: as wide as its power, as high as its price."""

    power: float
    price: float
    kind: str
    """`kept`, `failed` or `lost`."""
    said: str


class Pair(NamedTuple):
    """What was ordered and what was delivered."""

    name: str
    ordered: float
    delivered: float


def steps(parent: Element, label: str, unit: str, lines: Sequence[Steps], spans: Sequence[Span] = ()) -> None:
    """Lines over one period, by the clock of its times; nought is always in sight."""
    known = [value for line in lines for _, _, value in line.points if value is not None]
    ends = [moment for line in lines for start, end, _ in line.points for moment in (start, end)]
    if not known:
        return
    since, until = min(ends), max(ends)
    low, high = _with_room(min(0.0, *known), max(0.0, *known))
    svg = _canvas(parent, label, _HIGH)

    def x(at: datetime) -> float:
        return _LEFT + (at - since) / (until - since) * (_WIDE - _LEFT - _RIGHT)

    for span in spans:
        left, right = (x(min(max(at, since), until)) for at in span[:2])
        box = _shape(svg, "rect", "span", x=left, y=_TOP, width=right - left, height=_HIGH - _TOP - _BOTTOM)
        text(box, "title", span.said)
    _scale(svg, low, high, unit)
    hours = (since + timedelta(hours=each) for each in range(0, math.ceil((until - since) / timedelta(hours=1)) + 1, 3))
    for hour in hours:
        at = x(hour)
        _said(svg, f"{hour:%H:%M}", at, _HIGH - 8, "middle" if at < _WIDE - 30 else "end")
    for number, line in enumerate(lines):
        _shape(svg, "path", f"line {line.kind}", d=_path(line, x, low, high))
        left = _LEFT + 90 + 130 * number
        _shape(svg, "line", f"line {line.kind}", x1=left, x2=left + 28, y1=9, y2=9)
        _said(svg, line.name, left + 34, 13)


def merit(parent: Element, label: str, unit: str, asked: float, blocks: Sequence[Block]) -> None:
    """Offers side by side in the order in which they are called; a line stands where what is asked for is there."""
    most = max(asked, sum(block.power for block in blocks)) * 1.03
    low, high = _with_room(min(0.0, *(b.price for b in blocks)), max(1.0, *(b.price for b in blocks)))
    svg = _canvas(parent, label, _HIGH)
    _scale(svg, low, high, unit)

    def x(power: float) -> float:
        return _LEFT + power / most * (_WIDE - _LEFT - _RIGHT)

    before = 0.0
    for block in blocks:
        top, bottom = sorted((_y(block.price, low, high), _y(0, low, high)))
        width, tall = max(1.0, x(before + block.power) - x(before) - 1), max(2.0, bottom - top)
        text(_shape(svg, "rect", block.kind, x=x(before), y=top, width=width, height=tall), "title", block.said)
        before += block.power
    _shape(svg, "line", "asked", x1=x(asked), x2=x(asked), y1=_TOP, y2=_HIGH - _BOTTOM)
    _said(svg, f"asked: {asked:g} MW", x(asked) - 5, _TOP - 6, "end")
    for power in _round_numbers(0, most):
        _said(svg, f"{power:g}", x(power), _HIGH - 8, "middle")


def pairs(parent: Element, label: str, unit: str, rows: Sequence[Pair]) -> None:
    """A bar for each: its outline is what was ordered, filled as far as it was delivered."""
    most = max((max(row.ordered, row.delivered) for row in rows), default=0) or 1
    svg = _canvas(parent, label, 28 * len(rows) + 8)
    for number, row in enumerate(rows):
        top, wide = 28 * number + 4, (_WIDE - 430) / most
        _said(svg, row.name, 0, top + 15)
        for kind, value in (("kept", row.delivered), ("ordered", row.ordered)):
            _shape(svg, "rect", kind, x=250, y=top, width=value * wide, height=20)
        figures = f"{row.delivered:,.1f} of {row.ordered:,.1f} {unit}"
        _said(svg, figures, 258 + max(row.ordered, row.delivered) * wide, top + 15)


def scrolling(parent: Element, label: str) -> Element:
    """What is wider than a telephone scrolls by itself, with the keyboard, too."""
    return SubElement(parent, "div", {"class": "table", "role": "group", "tabindex": "0", "aria-label": label})


def _path(line: Steps, x: Callable[[datetime], float], low: float, high: float) -> str:
    drawn, last_end = list[str](), None
    for start, end, value in line.points:
        if value is not None:
            y = _y(value, low, high)
            drawn.append(f"{'V' if start == last_end else f'M{x(start):.1f},'}{y:.1f}H{x(end):.1f}")
        last_end = end if value is not None else None
    return "".join(drawn)


def _canvas(parent: Element, label: str, high: int) -> Element:
    return SubElement(
        scrolling(parent, label),
        "svg",
        {"viewBox": f"0 0 {_WIDE} {high}", "role": "img", "aria-label": label},
    )


def _scale(svg: Element, low: float, high: float, unit: str) -> None:
    for value in _round_numbers(low, high):
        y = _y(value, low, high)
        _shape(svg, "line", "grid" if value else "zero", x1=_LEFT, x2=_WIDE - _RIGHT, y1=y, y2=y)
        _said(svg, f"{value:g}", _LEFT - 8, y + 4, "end")
    _said(svg, unit, 0, 13)


def _y(value: float, low: float, high: float) -> float:
    return _TOP + (high - value) / (high - low) * (_HIGH - _TOP - _BOTTOM)


def _with_room(low: float, high: float) -> tuple[float, float]:
    room = (high - low or 1) * 0.06
    return (low - room if low < 0 else 0.0), high + room


def _round_numbers(low: float, high: float) -> list[float]:
    """Some five of them between two."""
    raw = (high - low) / 5
    power = 10 ** math.floor(math.log10(raw))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= raw)
    return [round(number * step, 10) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _shape(svg: Element, tag: str, kind: str, **placed: float | str) -> Element:
    given = {name: value if isinstance(value, str) else f"{value:.1f}" for name, value in placed.items()}
    return SubElement(svg, tag, {"class": kind, **given})


def _said(svg: Element, said: str, x: float, y: float, anchor: str = "start") -> None:
    text(svg, "text", said).attrib.update(x=f"{x:.1f}", y=f"{y:.1f}", **{"text-anchor": anchor})
