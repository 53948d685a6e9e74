"""`gridsignal up --speed`: a grid whose time flies, to develop against; its clock is the first record of its log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from gridsignal_schemas.messages import GridClock
from gridsignal_services.bus import Log
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.grid import grid_clock, is_empty
from gridsignal_services.ingest.replay import shipped_days
from gridsignal_services.ingest.schedule import day_starts_at, market_day
from gridsignal_services.settings import ConfigError

SPEED = 60.0
DIRECTORY = "gridsignal-fast"
"""Where such a stack keeps its log unless it is told: the usual folder's is in real time."""
_OTHER = "name another --directory"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command was asked for; None where nothing was said."""

    speed: float | None
    day: str | None

    @property
    def is_given(self) -> bool:
        """Whether time shall fly."""
        return self.speed is not None or self.day is not None


async def clock_for(log: Log, codec: Codec, asked: Asked) -> GridClock | None:
    """The clock this log goes by, None for the wall's: its own, else the one that was asked for.

    Raises ConfigError where it has another one.
    """
    found = await grid_clock(log, codec)
    if found is not None:
        _must_agree(found, asked)
        return found
    if not asked.is_given:
        return None
    if not await is_empty(log):
        raise ConfigError(f"speed: this folder's log is in real time; {_OTHER}")
    day = asked.day or shipped_days()[0]
    return GridClock(origin=day_starts_at(date.fromisoformat(day)), rate=asked.speed or SPEED, epoch=datetime.now(UTC))


def day_of(grid: GridClock) -> str:
    """The recorded day that is played on this clock."""
    return market_day(grid.origin).isoformat()


def _must_agree(found: GridClock, asked: Asked) -> None:
    if asked.speed not in (None, found.rate):
        raise ConfigError(f"speed: this folder's log runs at {found.rate:g}, got {asked.speed:g}; {_OTHER}")
    if asked.day not in (None, day_of(found)):
        raise ConfigError(f"day: this folder's log began on {day_of(found)}, got {asked.day}; {_OTHER}")
    if day_of(found) not in shipped_days():
        raise ConfigError(f"directory: this folder's log is a simulation's of {day_of(found)}; {_OTHER}")
