"""A file that is the old one or the new one, whenever the process ends.

Bounded: by what is written. When full: ActuatorFailed. Conflates: nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from gridsignal.agent.actuators import ActuatorFailed


def replaced(file: Path, text: str) -> None:
    """Writes it. Raises ActuatorFailed."""
    beside = file.with_name(file.name + ".new")
    try:
        beside.write_text(text, "utf-8")
        os.replace(beside, file)
    except OSError as error:
        raise ActuatorFailed(f"{file}: {error.strerror}") from error
