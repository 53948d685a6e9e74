#!/usr/bin/env python3
"""Keeps a copy of today's schemas as the released ones of a version: `python schemas/release.py 0.2.0`.

Run it once for each release that changes a schema, and commit what it wrote. From then on `tests/contract` holds every
later schema to FULL_TRANSITIVE compatibility with the copy; a released copy is never changed.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CURRENT = HERE / "gridsignal_schemas" / "avro"
RELEASED = HERE / "released"


def release(version: str) -> Path:
    """Copies the schemas; raises ValueError for a bad version and FileExistsError for one that was released."""
    if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version):
        raise ValueError(f"expected a version such as 0.2.0, got {version!r}")
    target = RELEASED / version
    if target.exists():
        raise FileExistsError(f"{version} was released before, and a released schema never changes")
    target.mkdir(parents=True)
    for schema in sorted(CURRENT.glob("*.avsc")):
        shutil.copyfile(schema, target / schema.name)
    return target


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    try:
        target = release(arguments[0])
    except (ValueError, FileExistsError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print(f"wrote {target.relative_to(HERE.parent)}: {len(list(target.iterdir()))} schemas")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
