"""A program of the site's own: a list of words with places for watts and times, started without a shell.

`observe` prints one JSON object: {"shed_w": 0, "until": null, "room_w": null}, of which `shed_w` is needed. `apply` is
told the watts of this moment and until when, in its words, and the whole schedule as JSON on its standard input. That
what it does ends at `{until}` without another word is the program's to keep.

Bounded: `timeout_s` for each start, 64 KiB of output. When full: ActuatorFailed. Conflates: nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError

from gridsignal.agent.actuators import Action, ActuatorFailed, Observed
from gridsignal.agent.actuators.programs import ran
from gridsignal.agent.actuators.telling import Answer, holds, told
from gridsignal.agent.schedule import Schedule, Slot
from gridsignal.agent.words import power
from gridsignal_schemas.rules.shapes import findings
from gridsignal_schemas.values import rfc3339

PLACES = frozenset({"shed_w", "cap_w", "until", "now", "reason"})
"""What stands in braces in a word: watts below the baseline, watts to draw, times in RFC 3339, orders."""
_PLACE = re.compile(r"\{([^{}]*)\}")


def faults_of(words: Sequence[str]) -> list[str]:
    """What is wrong with a list of words: none at all, or places that nothing fills."""
    if not words or not words[0]:
        return ["expected a program and its words, got none"]
    known = ", ".join(f"{{{name}}}" for name in sorted(PLACES))
    unknown = [found for word in words for found in _PLACE.findall(word) if found not in PLACES]
    return [f"expected one of {known}, got {{{name}}}" for name in unknown]


def filled(words: Sequence[str], said: Mapping[str, str]) -> list[str]:
    """The words with their places filled: each stays one word, whatever is filled in."""
    return [_PLACE.sub(lambda found: said.get(found[1], ""), word) for word in words]


class CommandActuator:
    """Starts the site's own programs."""

    def __init__(self, apply: Sequence[str], observe: Sequence[str], *, timeout_s: float = 30.0) -> None:
        self._apply, self._observe, self._timeout_s = apply, observe, timeout_s
        self._left: tuple[Slot | None, datetime | None, Observed] | None = None
        """What was told last, and what was in effect after it: where less is possible, that is no reason to repeat."""

    async def observe(self, now: datetime) -> Observed:
        printed = await ran(filled(self._observe, {"now": rfc3339(now)}), timeout_s=self._timeout_s)
        try:
            return Answer.model_validate_json(printed).observed()
        except ValidationError as error:
            raise ActuatorFailed(
                f'{self._observe[0]}: expected an object such as {{"shed_w": 0}}, got {findings(error)}'
            ) from error

    async def apply(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
        slot, until = schedule.at(now), schedule.until(now)
        observed = await self.observe(now)
        if holds(observed, slot, until) or self._left == (slot, until, observed):
            return ()
        said = told(slot, until, now)
        await ran(filled(self._apply, said), json.dumps(schedule.as_json()).encode(), timeout_s=self._timeout_s)
        self._left = slot, until, await self.observe(now)
        return (Action(f"{power(int(said['shed_w']))} less until {said['until']}", said["reason"]),)

    async def check(self, now: datetime) -> str:
        observed = await self.observe(now)
        return f"{self._observe[0]} answers: {power(observed.shed_w)} held back"

    async def aclose(self) -> None:
        """Nothing is open."""
