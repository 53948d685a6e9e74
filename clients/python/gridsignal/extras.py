"""What is said of a module that an extra of the distribution brings. A decision: names in, a sentence out."""

from __future__ import annotations


def needs(what: str, module: str | None, extra: str) -> str:
    """What lacks which module, and how to get it: the project's folder is where pip finds it, and no index."""
    return f"{what} needs {module}: pip install '.[{extra}]' in the project's folder"
