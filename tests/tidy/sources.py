"""What the tidy tests look at: the project's own files, as text and as syntax trees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("schemas", "clients", "services")
ALL = (*PRODUCT, "tests", "benchmarks", "docs")
NOT_OURS = {".git", "__pycache__", "node_modules", "dist", "build"}
TEXT = {
    ".avsc",
    ".cfg",
    ".csv",
    ".example",
    ".json",
    ".lock",
    ".md",
    ".py",
    ".sh",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
    "",
}


@dataclass(frozen=True)
class Source:
    """One Python file."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def where(self, node: ast.AST) -> str:
        """file:line, as editors open it."""
        return f"{self.name}:{getattr(node, 'lineno', 0)}"


def files(*folders: str) -> Iterator[Path]:
    """Every file of the project under these folders; of the whole project without any."""
    for start in [ROOT / folder for folder in folders] or [ROOT]:
        for path in sorted(start.rglob("*")):
            inside = path.relative_to(ROOT).parts
            hidden = any(part.startswith(".") and part != ".ci" for part in inside[:-1])
            if path.is_file() and not hidden and NOT_OURS.isdisjoint(inside):
                yield path


@cache
def _source(path: Path) -> Source:
    text = path.read_text("utf-8")
    return Source(path, text, ast.parse(text, filename=str(path)))


def sources(*folders: str) -> list[Source]:
    """Every Python file under these folders."""
    return [_source(path) for path in files(*folders) if path.suffix == ".py"]


def texts() -> Iterator[tuple[str, str]]:
    """(path in the repository, text) of every text file of the project."""
    for path in files():
        if path.suffix in TEXT:
            yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")


def assert_none(faults: Iterable[str]) -> None:
    """Fails with one fault a line."""
    found = list(faults)
    assert not found, "\n" + "\n".join(found)


def called(node: ast.AST) -> str:
    """What a call calls, as it is written: "asyncio.sleep"; empty for anything else."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def words(name: str) -> list[str]:
    """The words of a name: poll_period_s and PollPeriod."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return [word for word in spaced.lower().split("_") if word]
