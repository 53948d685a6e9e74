"""What the door found wrong, in the words of whoever typed the command: options, not fields of a body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Options = Mapping[str, str]
"""The option that says each field of a body: {"ends_at": "--end"}."""
NONE: Options = {}
_NAME = re.compile(r"[a-z]+(?:_[a-z]+)+")


def in_their_words(fault: Mapping[str, Any], options: Options) -> str:
    """One fault as a line; what no option says keeps the door's own name."""
    message = _NAME.sub(lambda name: options.get(name[0], name[0]), str(fault["message"]))
    return f"{_where(str(fault['pointer']), options)}: {message}"


def _where(pointer: str, options: Options) -> str:
    """The option of a JSON pointer, a query parameter or a header."""
    if pointer.startswith("?"):
        return options.get(pointer[1:], f"--{pointer[1:].replace('_', '-')}")
    field = pointer.removeprefix("/").partition("/")[0]
    return options.get(field, pointer or "request")
