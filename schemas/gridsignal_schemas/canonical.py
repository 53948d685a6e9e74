"""The one text of a method's or a rule's parameters, by which its sha256 is taken.

It is the JSON Canonicalization Scheme (RFC 8785) of what needs no floating point: keys sorted, no spaces, UTF-8. So
anybody's library for that scheme gives the same bytes. A number that is not whole is a text, such as "0.8".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256

_VALUE = "a text, a whole number, true, false, null, or a list or table of these"
_LARGEST = 2**53 - 1
"""Beyond it a number is another one in the JSON of many languages."""


def canonical(parameters: Mapping[str, object]) -> bytes:
    """The canonical bytes of parameters.

    Raises TypeError for a value that has no one text, such as a float, and names where it is.
    """
    _check(parameters, "parameters")
    return json.dumps(parameters, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def sha256_of(parameters: Mapping[str, object]) -> str:
    """The sha256 of the canonical bytes, in lower-case hexadecimal digits."""
    return sha256(canonical(parameters)).hexdigest()


def _check(value: object, where: str) -> None:
    match value:
        case None | bool() | str():
            pass
        case int() if -_LARGEST <= value <= _LARGEST:
            pass
        case dict():
            for name, each in value.items():
                if not (isinstance(name, str) and name.isascii()):
                    raise TypeError(f"{where}: expected names in ASCII, got {name!r:.60}")
                _check(each, f"{where}.{name}")
        case list() | tuple():
            for index, each in enumerate(value):
                _check(each, f"{where}[{index}]")
        case _:
            raise TypeError(f"{where}: expected {_VALUE}, got {value!r:.60}")
