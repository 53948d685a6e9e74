"""How much of each room the quick tests take, held to a floor that only rises: `make coverage`.

A room is a package: the SDK, the contract, the protocol, each package of the services, and the services' own modules
together. Counted are statements and branches; the floors lie in coverage_floors.toml, in whole per cent. Code that
goes to another room takes its tests along: then the room it left gets a new floor, and the table says which code went.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("coverage_floors.toml")
SLACK = 3
"""Per cent that a raised floor stays below what was measured: some code is reached by chance alone."""
_SERVICES = "gridsignal_services"
_HOMES = {"gridsignal": "clients/python", "gridsignal_protocol": "schemas", "gridsignal_schemas": "schemas"}
_HOMES |= {_SERVICES: "services"}


def rooms() -> set[str]:
    """Every room that there is."""
    inside = (ROOT / "services" / _SERVICES).glob("*/__init__.py")
    return {*_HOMES, *(f"{_SERVICES}.{module.parent.name}" for module in inside)}


def room_of(path: Path) -> str:
    """The room of a file of the project, by its path from the root."""
    package, *inside = path.relative_to(next(home for home in _HOMES.values() if path.is_relative_to(home))).parts
    return f"{package}.{inside[0]}" if package == _SERVICES and len(inside) > 1 else package


def per_cent(files: Mapping[Path, Mapping[str, int]]) -> dict[str, float]:
    """Of each room, from the summaries of its files."""
    all_of, taken = Counter[str](), Counter[str]()
    for path, summary in files.items():
        room = room_of(path)
        all_of[room] += summary["num_statements"] + summary["num_branches"]
        taken[room] += summary["covered_lines"] + summary["covered_branches"]
    return {room: 100 * taken[room] / number for room, number in all_of.items() if number}


def faults(floors: Mapping[str, int], measured: Mapping[str, float]) -> list[str]:
    """The rooms below their floor."""
    return [
        f"{room}: expected at least {floor} %, got {measured.get(room, 0):.1f} %"
        for room, floor in floors.items()
        if measured.get(room, 0) < floor
    ]


def lowered(before: Mapping[str, int], floors: Mapping[str, int]) -> list[str]:
    """The floors that have sunk; a room that is gone has none."""
    return [
        f"{room}: a floor only rises: expected at least {floor} %, got {floors[room]} %"
        for room, floor in before.items()
        if floors.get(room, floor) < floor
    ]


def raised(floors: Mapping[str, int], measured: Mapping[str, float]) -> dict[str, int]:
    """The floors that the measurement allows."""
    return {room: max(floors.get(room, 0), int(found) - SLACK) for room, found in sorted(measured.items())}


def read(text: str) -> dict[str, int]:
    floors: dict[str, int] = tomllib.loads(text)["floors"]
    return floors


def moved(text: str) -> dict[str, str]:
    """Of rooms with a new floor, which code left them."""
    reasons: dict[str, str] = tomllib.loads(text).get("moved", {})
    return reasons


def written(floors: Mapping[str, int], reasons: Mapping[str, str]) -> str:
    lines = "".join(f'"{room}" = {floor}\n' for room, floor in sorted(floors.items()))
    head = "# Per cent of statements and branches; `make coverage ARGS=--raise` raises them.\n[floors]\n"
    gone = "".join(f"{json.dumps(room)} = {json.dumps(why)}\n" for room, why in sorted(reasons.items()))
    return f"{head}{lines}\n# Which code left a room, that has a new floor since.\n[moved]\n{gone}"


def _git(*words: str) -> str:
    """What git says; nothing where there is no git, or no history."""
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def highest(tables: Iterable[str], reasons: Mapping[str, str]) -> dict[str, int]:
    """Of each room the highest floor it ever had, since code left it."""
    best: dict[str, int] = {}
    for text in tables:
        before = moved(text)
        for room, floor in read(text).items():
            if before.get(room) == reasons.get(room):
                best[room] = max(floor, best.get(room, 0))
    return best


def _before(reasons: Mapping[str, str]) -> dict[str, int]:
    """The highest floors that the table ever had, as far as the history goes."""
    name = TABLE.relative_to(ROOT).as_posix()
    texts = [_git("show", f"{change}:{name}") for change in _git("log", "--format=%H", "--", name).split()]
    if not any(texts):
        print("coverage: no history here: whether a floor has sunk is not known")
    return highest(filter(None, texts), reasons)


def _measured() -> dict[str, float]:
    import coverage  # here alone: the measurement must not begin with what it measures

    found = coverage.Coverage()
    found.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        found.json_report(outfile=str(report))
        files: dict[str, Any] = json.loads(report.read_text("utf-8"))["files"]
    return per_cent({Path(name).resolve().relative_to(ROOT): file["summary"] for name, file in files.items()})


def main(words: list[str]) -> int:
    """0 where each room is at its floor or above it; 1 where one is not, which is named."""
    text, measured = TABLE.read_text("utf-8"), _measured()
    floors, reasons = read(text), moved(text)
    if words == ["--raise"]:
        floors = raised(floors, measured)
        TABLE.write_text(written(floors, reasons), "utf-8")
    for room, found in sorted(measured.items()):
        print(f"{room:<36}{found:5.1f} %   floor {floors.get(room, 0):3} %")
    below = [*faults(floors, measured), *lowered(_before(reasons), floors)]
    print("\n".join(f"coverage: {fault}" for fault in below) or "coverage: no room below its floor")
    return bool(below)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
