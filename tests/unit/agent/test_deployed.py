"""What is shipped to start from is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridsignal.agent.config import config_of

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["site.toml", "slurm.toml"])
def test_a_shipped_configuration_is_one(name: str) -> None:
    file = ROOT / "deploy" / "agent" / name
    assert config_of(file.read_bytes(), file.name).site == "fra-1"
