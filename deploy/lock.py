#!/usr/bin/env python3
"""Writes requirements*.lock again: `make lock`. Every version with its hashes, no index.

The image runs on requirements.lock and is built with requirements-build.lock; CI tests with requirements-dev.lock.
An upgrade is a change of these files.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SERVED = ("server", "kafka", "redis")
QUIET = ("--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-trusted-host")
_OWN = re.compile(r"gridsignal\[(?P<extra>[a-z]+)\]")


def wanted(project: dict[str, Any], *extras: str) -> list[str]:
    """What the project asks for, the extras' references to each other followed."""
    found = set(project["dependencies"])
    left, seen = list(extras), set()
    while left:
        extra = left.pop()
        seen.add(extra)
        for line in project["optional-dependencies"][extra]:
            if own := _OWN.fullmatch(line):
                left += [own["extra"]] if own["extra"] not in seen else []
            else:
                found.add(line)
    return sorted(found)


def main() -> None:
    """Asks pip-compile, which looks the newest versions up that pyproject.toml allows."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project, build = told["project"], told["build-system"]["requires"]
    locks = {
        "requirements-build.lock": build,
        "requirements.lock": wanted(project, *SERVED),
        "requirements-dev.lock": [
            *wanted(project, *SERVED, "agent", "dsx", "kubernetes", "dev", "supply"),
            *build,
            "editables>=0.5",
        ],
    }
    for name, lines in locks.items():
        subprocess.run(
            [sys.executable, "-m", "piptools", "compile", *QUIET, "--no-emit-find-links", "--generate-hashes",
             "--strip-extras", "--allow-unsafe", "--upgrade", "--output-file", name, "-"],
            cwd=ROOT, input="\n".join(lines), text=True, check=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
