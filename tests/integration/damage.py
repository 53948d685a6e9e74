"""A database file that a disk has spoilt."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path


def damage(path: Path, part: str) -> None:
    """Spoils the first page of a table or index."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        ((page,),) = file.execute("select rootpage from sqlite_master where name = ?", (part,)).fetchall()
        ((size,),) = file.execute("pragma page_size").fetchall()
    found = bytearray(path.read_bytes())
    found[(page - 1) * size : page * size] = bytes([0xFF]) * size
    path.write_bytes(found)
