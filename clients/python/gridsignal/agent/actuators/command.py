"""A program of the site's own: a list of words with places for watts and times, started without a shell.

`observe` prints one JSON object: {"shed_w": 0, "until": null, "room_w": null}, of which `shed_w` is needed. `apply` is
told the watts of this moment and until when, in its words, and the whole schedule as JSON on its standard input. That
what it does ends at `{until}` without another word is the program's to keep.

Bounded: `timeout_s` for each start, 64 KiB of output. When full: ActuatorFailed. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from pydantic import ValidationError

from gridsignal.agent.actuators import Action, ActuatorFailed, Observed
from gridsignal.agent.actuators.telling import Answer, holds, told
from gridsignal.agent.schedule import Schedule, Slot
from gridsignal_schemas.rules.shapes import findings
from gridsignal_schemas.values import rfc3339

PLACES = frozenset({"shed_w", "cap_w", "until", "now", "reason"})
"""What stands in braces in a word: watts below the baseline, watts to draw, times in RFC 3339, orders."""
_PLACE = re.compile(r"\{([^{}]*)\}")
_MOST_BYTES = 64 * 1024
_TOLD = 300


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
        printed = await self._run(filled(self._observe, {"now": rfc3339(now)}), b"")
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
        await self._run(filled(self._apply, said), json.dumps(schedule.as_json()).encode())
        self._left = slot, until, await self.observe(now)
        return (Action(f"{said['shed_w']} W less until {said['until']}", said["reason"]),)

    async def check(self, now: datetime) -> str:
        observed = await self.observe(now)
        return f"{self._observe[0]} answers: {observed.shed_w} W held back"

    async def aclose(self) -> None:
        """Nothing is open."""

    async def _run(self, words: list[str], given: bytes) -> bytes:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe)
        except (OSError, ValueError) as error:
            raise ActuatorFailed(f"{words[0]} can't be started: {error}") from error
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with asyncio.timeout(self._timeout_s):
                printed, complained, _ = await asyncio.gather(
                    _beginning(process.stdout), _beginning(process.stderr), _give(process.stdin, given)
                )
                await process.wait()
        except TimeoutError:
            raise ActuatorFailed(f"{words[0]}: expected an end within {self._timeout_s:g} s, got none") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode:
            why = complained.decode(errors="replace").strip()[:_TOLD]
            raise ActuatorFailed(f"{words[0]} ended with {process.returncode}: {why}")
        if len(printed) > _MOST_BYTES:
            raise ActuatorFailed(f"{words[0]}: expected at most {_MOST_BYTES} bytes, got more")
        return printed


async def _give(stream: asyncio.StreamWriter, given: bytes) -> None:
    """A program may not care for what it is given."""
    with suppress(ConnectionError):
        stream.write(given)
        await stream.drain()
    stream.close()


async def _beginning(stream: asyncio.StreamReader) -> bytes:
    """One byte more than the bound is kept, and all is read, so that the program does not wait."""
    kept = bytearray()
    while part := await stream.read(_MOST_BYTES):
        kept += part[: _MOST_BYTES + 1 - len(kept)]
    return bytes(kept)
