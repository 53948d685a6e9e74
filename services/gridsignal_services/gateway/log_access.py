"""Writes to the log and reads back what became of it: the gateway's answers to offers, answers, readings, questions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from gridsignal_protocol.server.events import Publish
from gridsignal_protocol.server.replies import received, refused
from gridsignal_schemas.frames import Detail, Error, Query, Receipt, Received, Refused, States
from gridsignal_schemas.messages import AlertAck, MeterReading, Record
from gridsignal_schemas.rules.alerts import ack_faults
from gridsignal_schemas.rules.readings import reading_faults
from gridsignal_schemas.signatures import BadSignature
from gridsignal_services.access import Principal
from gridsignal_services.bus import Appended, Log, LogUnavailable, Unwritable
from gridsignal_services.bus.codec import Codec, sha256_of
from gridsignal_services.bus.publish import publish
from gridsignal_services.clock import Clock, grid_time
from gridsignal_services.gateway.answers import Asker, answer, slices, states
from gridsignal_services.gateway.quota import Quota
from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.signature_check import SignatureCheck
from gridsignal_services.replica import Replica
from gridsignal_services.slots import Slots
from gridsignal_services.timeouts import Timeouts

Charge = Callable[[float], None]
"""Told how many seconds of the loop were used for somebody."""
_LOOKING = 8
"""Organisations whose questions are answered at the same time."""


class LogAccess:
    """`received` only after the log has it and, for what the ledger reduces, after our own reduce has passed it.

    Bounded: by the sessions' windows and the organisations' quota. When full: refused with `rate`. Conflates: nothing.
    """

    def __init__(
        self,
        log: Log,
        codec: Codec,
        replica: Replica,
        quota: Quota,
        settings: GatewaySettings,
        clock: Clock,
        signatures: SignatureCheck,
    ) -> None:
        self._log = log
        self._codec = codec
        self._replica = replica
        self._quota = quota
        self._settings = settings
        self._clock = clock
        self._signatures = signatures
        self._timeouts = Timeouts(settings.answer_timeout_s)
        self._looking = Slots(_LOOKING, most=1)

    async def write(
        self, asked: Publish, principal: Principal, turn: asyncio.Lock, charge: Charge
    ) -> Received | Refused:
        """The answer to one write; `unavailable` means that its outcome is unknown: repeat it or query.

        Writes that share a `turn` reach the log in the order of the calls, however long the cache takes. `charge` is
        told what it took to look at a signature.
        """
        asking = self._quota.wait_ms(principal.organisation)
        # a slow cache is asked about all of them at once, not about one after the other
        answer_to_come: Awaitable[int] = asyncio.create_task(asking) if turn.locked() else asking
        async with turn:
            wait_ms = await answer_to_come
        if wait_ms:
            too_many = Detail(code="RATE", message="too many writes of this organisation")
            return refused(asked, "rate", retry_after_ms=wait_ms, details=[too_many])
        began_s = time.thread_time()
        try:
            self._signatures.look(asked.record, asked.signature)
        except BadSignature as bad:
            return refused(asked, bad.fault.code.lower(), retry_after_ms=bad.retry_after_ms, details=[bad.fault])
        finally:
            charge(time.thread_time() - began_s)
        return await self._written(asked, principal.name)

    async def _written(self, asked: Publish, principal: str) -> Received | Refused:
        try:
            with self._timeouts.limit():
                if isinstance(asked.record, MeterReading | AlertAck):
                    if faults := self._faults(asked.record):
                        return refused(asked, faults[0].code.lower(), details=faults)
                    return received(asked, await self._logged(asked.record, principal, asked.signature))
                # the session has made the record of what was said, and validated it
                done = self._replica.submit(asked.record, principal, is_valid=True, signature=asked.signature)
                return answer(asked, await done)
        except (LogUnavailable, TimeoutError):
            return refused(asked, "unavailable", retry_after_ms=self._settings.unavailable_retry_ms)
        except Unwritable as broken:
            return refused(asked, "schema", details=[Detail(code="SCHEMA", message=str(broken)[:200])])

    def _faults(self, record: MeterReading | AlertAck) -> list[Detail]:
        if isinstance(record, AlertAck):
            return ack_faults(record)
        site = self._replica.ledger_of(record.zone).sites.get(record.site)
        return reading_faults(record, self._clock.now(), None if site is None else site.capacity_w)

    async def _logged(self, record: MeterReading | AlertAck, principal: str, signature: str | None) -> Receipt:
        source = self._replica.source
        appended = await publish(
            self._log, self._codec, record, principal=principal, source=source, signature=signature
        )
        return self._receipt(record, appended)

    def _receipt(self, record: Record, appended: Appended) -> Receipt:
        digest = sha256_of(self._codec.encode(record))
        return Receipt(sha256=digest, received_at=grid_time(self._replica.grid, appended.appended_us))

    async def look(
        self, query: Query, principal: Principal, site: str | None, turn: Callable[[], Awaitable[None]]
    ) -> States | Error:
        """What the log holds, everything acknowledged before the question included.

        An answer is made at once, for it is the state at one moment: first it has as many turns as it takes, one answer
        of an organisation after the other.
        """
        try:
            with self._timeouts.limit():
                await self._replica.reach_end()
        except (LogUnavailable, TimeoutError):
            return Error(id=query.id, code="unavailable", message="the log is away", retriable=True)
        participant = principal.organisation if principal.role == "participant" else ""
        asker, ledgers = Asker(participant, site), self._replica.ledgers.values()
        async with self._looking.place(principal.name):
            for _ in range(slices(query, asker, ledgers, self._settings)):
                await turn()
            await self._replica.whole()
            return states(query, asker, ledgers, self._settings)
