"""Grafana's boards, from deploy/grafana/boards.toml: what a person writes is there, what Grafana wants is here."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).resolve().parents[1] / "deploy" / "grafana"
_SOURCE = {"type": "prometheus", "uid": "prometheus"}
_WIDTH, _HEIGHT, _IN_A_ROW = 8, 8, 3
_KINDS = {"line": "timeseries", "now": "stat", "table": "table"}


def tables() -> dict[str, Any]:
    """The boards as they are written."""
    return tomllib.loads((_FOLDER / "boards.toml").read_text("utf-8"))


def files() -> Iterator[tuple[Path, str]]:
    """Each board's file, and what it should hold."""
    for name, board in tables().items():
        yield _FOLDER / "boards" / f"{name}.json", json.dumps(_board(name, board), indent=2) + "\n"


def _board(name: str, board: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "uid": f"gridsignal-{name}",
        "title": board["title"],
        "tags": ["gridsignal"],
        "schemaVersion": 41,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "panels": [_panel(number, panel) for number, panel in enumerate(board["panels"])],
    }


def _panel(number: int, panel: Mapping[str, Any]) -> dict[str, Any]:
    show = panel.get("show", "line")
    place = {"x": number % _IN_A_ROW * _WIDTH, "y": number // _IN_A_ROW * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
    return {
        "id": number + 1,
        "type": _KINDS[show],
        "title": panel["title"],
        "description": panel["says"],
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel["unit"]}},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": _SOURCE,
                "expr": query["expr"],
                "legendFormat": query["legend"],
                "instant": show != "line",
                "range": show == "line",
            }
            for at, query in enumerate(panel["ask"])
        ],
    }
