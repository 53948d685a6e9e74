"""What is committed names no path of the machine it was written on and no package index: both belong to settings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.tidy.sources import ROOT, assert_none, texts

PUBLIC_INDEX = tuple(".".join(parts) for parts in (("pypi", "org"), ("files", "pythonhosted", "org")))
INDEX_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX")


def hosts(text: str) -> set[str]:
    return {host.lower() for host in re.findall(r"https?://(?:[^/@\s]*@)?([A-Za-z0-9.-]+\.[A-Za-z0-9.-]+)", text)}


@cache
def index_hosts() -> frozenset[str]:
    """The hosts this machine's pip talks to, and the public ones."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False, timeout=30
    )
    settings = asked.stdout + " ".join(os.environ.get(name, "") for name in INDEX_VARIABLES)
    return frozenset(hosts(settings) | set(PUBLIC_INDEX))


def local_paths() -> list[str]:
    """The folders of this machine that no file may name."""
    folders = (ROOT, ROOT.parent, Path.home())
    return sorted({f"{folder}/" for folder in folders if len(folder.parts) > 1})


def test_no_file_names_a_path_of_this_machine() -> None:
    assert_none(f"{name}: {path}" for name, text in texts() for path in local_paths() if path in text)


def test_no_file_names_a_package_index() -> None:
    assert_none(f"{name}: {host}" for name, text in texts() for host in index_hosts() if host in text)
