"""Orders confirmed at an address of the site's own: each is told in a signed POST until it is answered or too late.

The question has an order_id, a revision, what is asked, `answer_by` and a nonce; `Gridsignal-Signature` and
`Idempotency-Key` are as those of the actuator's webhook. 204 says that a person still thinks: it is asked again. 200 is
an answer, {"nonce": ..., "answer": "accept" or "refuse", "who": ...}, signed the same way with the same secret. It has
to name the nonce of its own question, so that no earlier answer can be played back.

Bounded: one exchange at a time for each question, to its deadline. When full: nothing grows. Conflates: nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridsignal.addresses import shown
from gridsignal.agent.actuators.webhook import SIGNATURE, signature
from gridsignal.agent.contact import Say
from gridsignal.agent.kept import Answer, Kept, StateFailed
from gridsignal.agent.web import WebFailed, exchange
from gridsignal.clock import Clock
from gridsignal_schemas.messages import DispatchOrder
from gridsignal_schemas.rules.shapes import findings
from gridsignal_schemas.values import rfc3339

_EMPTY = 204


class Reply(BaseModel):
    """What an address answers."""

    model_config = ConfigDict(extra="ignore", strict=True)

    nonce: str
    answer: Literal["accept", "refuse"]
    who: Annotated[str, Field(pattern=r"^[A-Za-z0-9._@-]{1,100}$")] = "webhook"


class WrongReply(ValueError):
    """What was answered is no answer."""


class Confirming:
    """Asks one address."""

    def __init__(self, url: str, secret: bytes, every_s: int, timeout_s: float, kept: Kept, say: Say) -> None:
        self._url, self._secret, self._kept, self._say = url, secret, kept, say
        self._every, self._timeout_s = timedelta(seconds=every_s), timeout_s

    async def ask(self, order: DispatchOrder, said: str, last: datetime, clock: Clock) -> None:
        """Until there is an answer, which is kept as a person's by hand, or it is too late for one."""
        told = ""
        while clock.now() < last:
            try:
                found = await self._once(order, said, last, clock.now())
                if found is not None:
                    if self._kept.answer(order.order_id, *found, order.revision):
                        self._say(f"order {order.order_id}: {found[0]}, says {found[1]}")
                    return  # where it was not taken, somebody else was before
            except (WebFailed, WrongReply, StateFailed) as failed:
                if told != (told := str(failed)):
                    self._say(f"order {order.order_id}: {told}")
            await clock.sleep_until(min(last, clock.now() + self._every))

    async def _once(self, order: DispatchOrder, said: str, last: datetime, now: datetime) -> tuple[Answer, str] | None:
        nonce = secrets.token_hex(16)
        asked = {"asks": "confirm", "order_id": order.order_id, "revision": order.revision, "said": said}
        asked |= {"power_w": order.power_w, "direction": str(order.direction), "starts_at": rfc3339(order.starts_at)}
        asked |= {"ends_at": None if order.ends_at is None else rfc3339(order.ends_at)}
        asked |= {"answer_by": rfc3339(last), "now": rfc3339(now), "nonce": nonce}
        body = json.dumps(asked, separators=(",", ":")).encode()
        same = hashlib.sha256(f"{order.order_id} {order.revision}".encode()).hexdigest()
        headers = {"Content-Type": "application/json", "Idempotency-Key": same}
        headers[SIGNATURE] = signature(self._secret, int(now.timestamp()), body)
        answered = await exchange(self._url, timeout_s=self._timeout_s, body=body, headers=headers)
        if answered.status == _EMPTY:
            return None
        if answered.status != 200:
            raise WrongReply(f"{shown(self._url)}: expected 200 or 204, got {answered.status}")
        reply = reply_of(answered.body, answered.headers.get(SIGNATURE.lower(), ""), self._secret, nonce)
        return reply.answer, f"person:{reply.who}"


def reply_of(body: bytes, signed: str, secret: bytes, nonce: str) -> Reply:
    """A reply that is signed and answers this question. Raises WrongReply."""
    at = signed.partition(",")[0].removeprefix("t=")
    right = signature(secret, int(at), body) if at.isascii() and at.isdigit() and len(at) <= 12 else ""
    if not right or not hmac.compare_digest(right.encode(), signed.encode()):
        raise WrongReply(f"expected an answer with {SIGNATURE}, got {'a wrong one' if signed else 'none'}")
    try:
        reply = Reply.model_validate_json(body)
    except ValidationError as wrong:
        raise WrongReply(f'expected an answer such as {{"answer": "accept"}}, got {findings(wrong)}') from wrong
    if not hmac.compare_digest(reply.nonce.encode(), nonce.encode()):
        raise WrongReply("expected the nonce of this question, got another one")
    return reply
