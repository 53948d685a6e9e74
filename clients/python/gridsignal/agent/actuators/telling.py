"""What a counterpart outside is told in words, and how its answer reads. Decisions: values in, values out."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from gridsignal.agent.actuators import Observed
from gridsignal.agent.schedule import Slot
from gridsignal_schemas.values import Timestamp, rfc3339


class Answer(BaseModel):
    """What `observe` prints; other fields are the program's own."""

    model_config = ConfigDict(extra="ignore", strict=True)

    shed_w: int
    until: Timestamp | None = None
    room_w: int | None = None

    def observed(self) -> Observed:
        return Observed(self.shed_w, self.until if self.shed_w else None, self.room_w)


def holds(observed: Observed, slot: Slot | None, until: datetime | None) -> bool:
    """Whether what is in effect is what is wanted; a counterpart that does not tell its end is believed."""
    wanted_w = slot.shed_w if slot is not None else 0
    return observed.shed_w == wanted_w and (not wanted_w or observed.until in (None, until))


def told(slot: Slot | None, until: datetime | None, now: datetime) -> dict[str, str]:
    """What fills the places."""
    said = {"shed_w": "0", "cap_w": "", "until": rfc3339(until or now), "now": rfc3339(now)}
    if slot is None:
        return said | {"reason": "no order asks for it any more"}
    cap = {} if slot.cap_w is None else {"cap_w": str(slot.cap_w)}
    return said | cap | {"shed_w": str(slot.shed_w), "reason": slot.reason}
