"""Which code a checkpoint was written by: only the same code reads it, so that a new version replays."""

from __future__ import annotations

import sys
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import gridsignal_schemas

_SERVICES = Path(__file__).resolve().parents[1]
_SCHEMAS = Path(gridsignal_schemas.__file__).resolve().parent
PARTS = (
    "access/__init__.py",
    "bus",
    "checkpoints",
    "clock.py",
    "dispatch/finished.py",
    "dispatch/parts.py",
    "dispatch/settled_tables.py",
    "dispatch/tables.py",
    "following.py",
    "headway.py",
    "kept_file.py",
    "ledger",
    "merkle.py",
    "replica.py",
    "settlement",
    "tree_heads.py",
)
"""Of the services, what makes and keeps the ledger's state out of the log; of the schemas it is everything."""
_LIBRARIES = ("fastavro", "pydantic", "pydantic-core")
_KINDS = frozenset({".py", ".toml", ".avsc", ".lock"})


@cache
def code_digest() -> str:
    """The hash of all source, schemas and tables that the state depends on, and of the libraries' versions.

    Raises OSError where this program runs without its source.
    """
    found = sha256(f"{sys.version_info} {sys.byteorder} {[version(name) for name in _LIBRARIES]}".encode())
    for path in _files():
        found.update(f"{path.name} {path.stat().st_size}\n".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _files() -> list[Path]:
    roots = [_SCHEMAS, *(_SERVICES / part for part in PARTS)]
    files = [path for root in roots for path in ([root] if root.suffix else sorted(root.rglob("*")))]
    return [path for path in files if path.suffix in _KINDS]
