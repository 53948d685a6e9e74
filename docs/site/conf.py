"""The documentation site, built by `make site` from the repository's own Markdown; it loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ["COLUMNS"] = "100"  # as wide as argparse makes its helps

project = "gridsignal"
version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "docs/site/index"
include_patterns = ["*.md", "docs/*.md", "docs/adr/*.md", "docs/site/*.md", "schemas/*.md"]
exclude_patterns = [".venv", ".git", "build", "dist", "node_modules", "clients", "services", "tests", "benchmarks"]
html_theme = "furo"
html_title = f"gridsignal {version}"
html_copy_source = False
html_extra_path = ["index.html"]
html_show_sphinx = False
html_permalinks_icon = "#"
html_domain_indices = html_use_index = False
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# A page may begin with a lower heading, or show what no lexer knows. Docstrings are Markdown, read as reStructuredText:
# where that goes wrong a line looks odd, and no more. What stays an error: a lost link, a page in no contents.
suppress_warnings = ["myst.header", "misc.highlighting_failure", "docutils"]
python_use_unqualified_type_names = True
maximum_signature_line_length = 100

FOLDER = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)#\s]+?)/?\)")
"""Links that lead to folders of the repository: on a site there are none, and the words stay."""


def commands() -> str:
    """The page of commands, from the helps themselves."""
    from gridsignal.__main__ import COMMANDS

    parts = ["# Commands\n\nWhat `gridsignal COMMAND --help` says.\n"]
    for name, command in COMMANDS.items():
        told = import_module(command.module).parser().format_help()
        parts.append(f"## {name}\n\n```text\n{told.strip()}\n```\n")
    return "\n".join(parts)


def read(app: Sphinx, docname: str, content: list[str]) -> None:
    """The page of commands is filled; elsewhere what leads to no page is text."""
    if docname == "docs/site/commands":
        content[0] = commands()
        return
    here = (ROOT / docname).parent

    def page(link: re.Match[str]) -> str:
        return link[1] if (here / link[2]).is_dir() else link[0]

    content[0] = FOLDER.sub(page, content[0])


def docstring(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Docstrings are Markdown: what is between backticks is code, and so is what is indented."""
    told: list[str] = []
    for line in [] if what == "module" else lines:
        if line.startswith("    ") and (not told or not told[-1]):
            told += ["::", ""]
        words = re.split(r"(`+[^`]+`+)", line)
        marked = (f"``{w.strip('`')}``" if w.startswith("`") else re.sub(r"([\\*|_])", r"\\\1", w) for w in words)
        told.append(line if line.startswith("    ") else "".join(marked))
    lines[:] = told


def signature(
    app: Sphinx, what: str, name: str, thing: object, options: object, given: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """A record is its fields, each with its type below: nobody makes one by the signature that pydantic gives it."""
    is_record = isinstance(thing, type) and issubclass(thing, BaseModel | Enum)
    return (None, None) if is_record else (given, returned)


def skip(app: Sphinx, what: str, name: str, thing: object, skipped: bool, options: object) -> bool | None:
    """What pydantic adds to a record is none of it."""
    return True if name.startswith("model_") else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Diagrams are shown as the text that they are drawn from: what draws them would be loaded from elsewhere."""
    for words in ("mermaid", "conversation", "csv"):
        app.add_lexer(words, TextLexer)
    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", docstring)
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True}
