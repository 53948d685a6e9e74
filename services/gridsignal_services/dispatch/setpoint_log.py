"""Puts setpoints on the log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gridsignal_schemas.messages import RegulationSetpoint
from gridsignal_services.access import Principal
from gridsignal_services.bus import Log
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.publish import append
from gridsignal_services.work import Work

_SOURCE = "/gridsignal/dispatch"


class SetpointLog:
    """What operators send to sites that regulate, on its way to the log.

    Bounded: a batch by the shape of its body, batches by RestLimits; a connection has one under way.
    When full: 422, 429. Conflates: nothing; the gateways send the newest.
    """

    def __init__(self, log: Log, codec: Codec) -> None:
        self._log, self._codec = log, codec

    async def send(self, setpoints: Sequence[RegulationSetpoint], principal: Principal, work: Work) -> None:
        """Returns when all are on the log, those of one order in this sequence. Raises LogUnavailable: any may be."""
        values = await work.each(setpoints, lambda setpoint: self._codec.written(setpoint, is_valid=True)[0])
        appending = [
            append(self._log, setpoint, value, principal=principal.name, source=_SOURCE)
            for setpoint, value in zip(setpoints, values, strict=True)
        ]
        for outcome in await asyncio.gather(*appending, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
