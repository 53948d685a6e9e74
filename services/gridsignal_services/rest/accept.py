"""What a caller takes: the Accept header of HTTP, read as RFC 9110 has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

JSON, CSV, HTML = "application/json", "text/csv", "text/html"
_MOST = 64
"""Ranges that are looked at."""


def preferred(accept: Sequence[str], types: Sequence[str]) -> str | None:
    """The type that is liked most, the first of equals; None where none of them is taken. No header takes all."""
    ranges = list(_ranges(accept))
    if not ranges:
        return types[0]
    liked = [(_quality(ranges, each), -at) for at, each in enumerate(types)]
    quality, at = max(liked)
    return types[-at] if quality > 0 else None


def _ranges(accept: Sequence[str]) -> Iterator[tuple[str, float]]:
    for field in ",".join(accept).split(",")[:_MOST]:
        name, *parameters = (part.strip().lower() for part in field.split(";"))
        if name:
            yield name, next((_number(each[2:]) for each in parameters if each.startswith("q=")), 1.0)


def _number(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 1.0


def _quality(ranges: Sequence[tuple[str, float]], name: str) -> float:
    """Of the ranges that a type lies in, the narrowest tells."""
    for wanted in (name, f"{name.partition('/')[0]}/*", "*/*"):
        found = [quality for range_, quality in ranges if range_ == wanted]
        if found:
            return max(found)
    return 0.0
