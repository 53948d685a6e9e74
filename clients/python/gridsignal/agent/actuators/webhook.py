"""An address of the site's own that is told the schedule and answers with what is in effect.

Each call is a POST of one JSON object: `asks` is `apply` or `observe`, beside `shed_w`, `until`, `now`, `reason` and
the whole `schedule`. The answer is an object such as {"shed_w": 0, "until": null, "room_w": null}. The header
`Gridsignal-Signature: t=SECONDS,v1=HEX` is HMAC-SHA256 over `SECONDS.BODY` with the shared secret; `Idempotency-Key` is
the same for what says the same. That what is applied ends at `until` without another word is the receiver's to keep.

Bounded: three tries of `timeout_s` each. When full: ActuatorFailed. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from gridsignal.addresses import shown
from gridsignal.agent.actuators import Action, ActuatorFailed, Observed
from gridsignal.agent.actuators.telling import Answer, holds, told
from gridsignal.agent.schedule import Schedule, Slot
from gridsignal.agent.web import WebFailed, exchange
from gridsignal.agent.words import power
from gridsignal_schemas.rules.shapes import findings

SIGNATURE = "Gridsignal-Signature"
_TRIES, _FIRST_WAIT_S = 3, 0.5


def signature(secret: bytes, at_s: int, body: bytes) -> str:
    """The header's value."""
    mac = hmac.new(secret, str(at_s).encode() + b"." + body, hashlib.sha256)
    return f"t={at_s},v1={mac.hexdigest()}"


class WebhookActuator:
    """Tells an address, and believes its answer."""

    def __init__(self, url: str, secret: bytes, *, timeout_s: float = 10.0) -> None:
        self._url, self._secret, self._timeout_s = url, secret, timeout_s
        self._left: tuple[Slot | None, datetime | None, Observed] | None = None
        """What was told last, and what was answered: where less is possible, that is no reason to repeat."""

    async def observe(self, now: datetime) -> Observed:
        return await self._call("observe", told(None, None, now), Schedule(), now)

    async def apply(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
        slot, until = schedule.at(now), schedule.until(now)
        observed = await self.observe(now)
        if holds(observed, slot, until) or self._left == (slot, until, observed):
            return ()
        said = told(slot, until, now)
        self._left = slot, until, await self._call("apply", said, schedule, now)
        return (Action(f"{power(int(said['shed_w']))} less until {said['until']}", said["reason"]),)

    async def check(self, now: datetime) -> str:
        observed = await self.observe(now)
        return f"{shown(self._url)} answers: {power(observed.shed_w)} held back"

    async def aclose(self) -> None:
        """Nothing is open."""

    async def _call(self, asks: str, said: dict[str, str], schedule: Schedule, now: datetime) -> Observed:
        fields: dict[str, Any] = {
            "asks": asks,
            "shed_w": int(said["shed_w"]),
            "until": said["until"],
            "now": said["now"],
        }
        fields |= {"reason": said["reason"], "schedule": schedule.as_json()}
        body = json.dumps(fields, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": hashlib.sha256(body).hexdigest(),
            SIGNATURE: signature(self._secret, int(now.timestamp()), body),
        }
        for attempt in range(1, _TRIES + 1):
            try:
                status, answer, _ = await exchange(self._url, timeout_s=self._timeout_s, body=body, headers=headers)
            except WebFailed as failed:
                if attempt == _TRIES:
                    raise ActuatorFailed(str(failed)) from failed
            else:
                if status < 500 or attempt == _TRIES:
                    return _read(self._url, status, answer)
            await asyncio.sleep(_FIRST_WAIT_S * 2 ** (attempt - 1))
        raise AssertionError("the last try returns or raises")


def _read(url: str, status: int, answer: bytes) -> Observed:
    if status != 200:
        raise ActuatorFailed(f"{shown(url)}: expected 200, got {status}: {answer[:200].decode(errors='replace')}")
    try:
        return Answer.model_validate_json(answer).observed()
    except ValidationError as error:
        raise ActuatorFailed(
            f'{shown(url)}: expected an object such as {{"shed_w": 0}}, got {findings(error)}'
        ) from error
