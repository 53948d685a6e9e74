"""What is shipped to start from is right."""

from __future__ import annotations

from pathlib import Path

from gridsignal.agent.config import config_of

ROOT = Path(__file__).parents[3]


def test_the_shipped_configuration_is_one() -> None:
    file = ROOT / "deploy" / "agent" / "site.toml"
    assert config_of(file.read_bytes(), file.name).site == "fra-1"
