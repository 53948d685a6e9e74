"""What counts of a participant's readings of a period, heard in the order of the log: the same as Meters would say."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gridsignal_services.metering.older_readings import MOST_READ, Held, Place, place_of, says_more


@dataclass(slots=True)
class CountingReadings:
    """Bounded by the readings of its period."""

    starts_at: datetime
    ends_at: datetime
    participant: str
    most: int = MOST_READ
    _found: dict[Place, Held] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._found)

    @property
    def are_too_many(self) -> bool:
        """Whether they are more than are added up; once they are, they stay so."""
        return len(self._found) > self.most

    @property
    def held(self) -> list[Held]:
        """As they came; none where they are too many."""
        return [] if self.are_too_many else list(self._found.values())

    def instead_of(self, held: Held) -> Held | None:
        """The word on the same interval that counts so far."""
        return self._found.get(place_of(held.reading))

    def hear(self, held: Held) -> bool:
        """Takes the next reading of the site that is a measurement. Whether it counts by now."""
        reading = held.reading
        touches = reading.starts_at < self.ends_at and reading.ends_at > self.starts_at
        if not touches or reading.participant != self.participant or not says_more(self._found, held):
            return False
        self._found.pop(place_of(reading), None)
        self._found[place_of(reading)] = held
        return True
