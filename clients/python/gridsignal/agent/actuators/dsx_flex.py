"""NVIDIA DSX Flex over MQTT: a factory's power agent is told load targets and tells its power state.

A factory answers by its state alone: targets count as applied when a status shows them. The agent is the only one that
writes to its feeds: a target of somebody else there is replaced. `signed` sends and takes JWS (ES256) and nothing
else, `plain` is for a laboratory. What was told ends in the factory, whether the agent is there or not.

Bounded: the newest status; 1 MiB a message; `timeout_s` for an answer, which is asked for twice. When full: a larger
message is dropped. Conflates: statuses.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import ssl
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiomqtt
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import ValidationError

from gridsignal.agent.actuators import Action, ActuatorFailed, Observed
from gridsignal.agent.actuators import dsx_wire as wire
from gridsignal.agent.schedule import Schedule
from gridsignal.agent.words import power
from gridsignal.errors import UsageError
from gridsignal_schemas.values import rfc3339

_log = logging.getLogger("gridsignal.agent.dsx")
_MOST_BYTES = 1024 * 1024
_AGAIN_S = 1.0
_TRIES = 2
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Bus:
    """Where the broker is, and who we are there."""

    host: str
    port: int
    isv: str
    agent: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = True
    program: str = "run"
    """Which of our programs: a broker throws off the earlier of two that go by one name."""

    @property
    def identifier(self) -> str:
        """Our name at the broker: another one for each factory and each program."""
        return f"gridsignal-{self.isv}-{self.agent}-{self.program}"


@dataclass(frozen=True, slots=True)
class Keys:
    """What we sign with, and what the factory's agent signs with: P-256, each with its `kid`."""

    own: ECKey = field(repr=False)
    factory: ECKey


def key_of(text: bytes) -> ECKey:
    """A JWK of P-256 with a kid. Raises UsageError."""
    try:
        key = ECKey.import_key(json.loads(text))
        if key.curve_name != "P-256" or not key.kid:
            raise ValueError
    except (ValueError, TypeError, KeyError, JoseError):
        raise UsageError("expected a key as a JWK of P-256 with a kid, got none") from None
    return key


class DsxFlexActuator:
    """One factory's feeds."""

    def __init__(
        self,
        bus: Bus,
        feeds: Sequence[wire.Feed],
        baseline_w: Callable[[datetime], int | None],
        keys: Keys | None,
        *,
        timeout_s: float = 30.0,
    ) -> None:
        self._bus, self._feeds, self._baseline_w, self._keys = bus, feeds, baseline_w, keys
        self._timeout_s = timeout_s
        self._running: asyncio.Task[None] | None = None
        self._client: aiomqtt.Client | None = None
        self._status: wire.Status | None = None
        self._news = asyncio.Event()
        self.dropped = 0
        """Messages that were not what they should be."""

    async def observe(self, now: datetime) -> Observed:
        status = await self._fresh(now)
        usual = wire.split(self._usual_w(now), self._feeds)
        held_w, until, room_w = 0, None, 0
        for feed in self._feeds:
            caps = wire.standing(status, feed.tag, now)
            cap = next((each for each in caps if each.starts_at <= now < each.ends_at), None)
            state = status.feeds[feed.tag]
            mine_w = wire.effective_w(state, None if cap is None else cap.watts, usual[feed.tag])
            held_w += mine_w
            room_w += max(0, mine_w - state.metadata.power_minimum.watts)
            if cap is not None:
                ends = [each.ends_at for each in caps]
                until = max(ends) if until is None else max(until, *ends)
        shed_w = sum(usual.values()) - held_w
        return Observed(shed_w, until if shed_w else None, room_w)

    async def apply(self, schedule: Schedule, now: datetime) -> tuple[Action, ...]:
        status = await self._fresh(now)
        try:
            caps = wire.wanted(schedule, status, self._feeds)
        except ValueError as wrong:
            raise ActuatorFailed(str(wrong)) from wrong
        before = {tag: wire.standing(status, tag, now) for tag in caps}
        if before == caps:
            return ()
        slot = schedule.at(now)
        correlation = str(uuid.uuid4())
        await self._tell({"targets": wire.targets(caps, before, now)}, correlation, caps, now)
        reason = slot.reason if slot is not None else "no order asks for it now"
        told = [f"{tag} to {_shown(each)}" for tag, each in caps.items() if before[tag] != each]
        return tuple(Action(what, reason) for what in told)

    async def check(self, now: datetime) -> str:
        status = await self._fresh(now)
        return f"{self._bus.agent} answers: feeds {', '.join(sorted(status.feeds))}"

    async def aclose(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait([running])

    def _usual_w(self, now: datetime) -> int:
        baseline_w = self._baseline_w(now)
        if baseline_w is None:
            raise ActuatorFailed("expected a baseline in the configuration: a cap is what is left of it")
        return baseline_w

    async def _fresh(self, now: datetime) -> wire.Status:
        """The newest status that is of about now."""
        return await self._until(lambda status: abs(now - status.snapshot_time) <= _SKEW, "no power state")

    async def _tell(
        self, data: dict[str, Any], correlation: str, caps: dict[str, list[wire.Cap]], now: datetime
    ) -> None:
        """Publishes, and returns once a status shows it; asked twice under one correlation id."""

        def shows(status: wire.Status) -> bool:
            return all(wire.standing(status, tag, now) == each for tag, each in caps.items())

        for attempt in range(1, _TRIES + 1):
            if self._client is None:
                raise ActuatorFailed(f"no connection to {self._bus.host}:{self._bus.port}")
            event = wire.envelope(
                self._bus.isv,
                data if self._keys is None else _signed(data, self._keys.own),
                now,
                ident=str(uuid.uuid4()),
                correlation=correlation,
                trace=f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
            )
            try:
                await self._client.publish(wire.set_topic(self._bus.isv), event, qos=1, timeout=self._timeout_s)
            except aiomqtt.MqttError as failed:
                raise ActuatorFailed(f"the broker did not take a load target: {failed}") from failed
            try:
                await self._until(shows, "no status that shows the load targets")
                return
            except ActuatorFailed:
                if attempt == _TRIES:
                    raise

    async def _until(self, is_so: Callable[[wire.Status], bool], lacks: str) -> wire.Status:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._listen())
        try:
            async with asyncio.timeout(self._timeout_s):
                while self._status is None or not is_so(self._status):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            where = f"{self._bus.agent} at {self._bus.host}:{self._bus.port}"
            raise ActuatorFailed(f"{lacks} from {where} within {self._timeout_s:g} s") from None
        return self._status

    # --- the bus -------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Keeps a connection, and the newest status that is sound."""
        bus = self._bus
        while True:
            try:
                async with aiomqtt.Client(
                    bus.host,
                    bus.port,
                    username=bus.user,
                    password=bus.password,
                    identifier=bus.identifier,
                    protocol=aiomqtt.ProtocolVersion.V311,
                    tls_context=ssl.create_default_context() if bus.tls else None,
                    keepalive=10,
                    timeout=self._timeout_s,
                ) as client:
                    codes = await client.subscribe(wire.status_topic(bus.agent), qos=1)
                    if any((code if isinstance(code, int) else code.value) >= 128 for code in codes):
                        _log.warning("the broker refuses %s", wire.status_topic(bus.agent))
                    self._client = client
                    async for message in client.messages:
                        self._take(message.payload)
            except aiomqtt.MqttError as lost:
                _log.info("no connection to %s:%s: %s", bus.host, bus.port, lost)
            finally:
                self._client = None
            await asyncio.sleep(_AGAIN_S)

    def _take(self, payload: Any) -> None:
        status = self._read(payload)
        if status is None:
            self.dropped += 1
        elif self._status is None or status.snapshot_time >= self._status.snapshot_time:
            self._status = status
            self._news.set()

    def _read(self, payload: Any) -> wire.Status | None:
        """A sound status; None for anything else."""
        if not isinstance(payload, bytes) or len(payload) > _MOST_BYTES:
            return None
        with suppress(ValueError, KeyError, TypeError, JoseError, ValidationError):
            event = json.loads(payload)
            if event["type"] != wire.STATUS_TYPE or event["source"] != wire.source("dsx-flex-agent", self._bus.agent):
                return None
            data = event["data"]
            if isinstance(data, str) != (self._keys is not None):
                return None
            if self._keys is not None:
                found = jws.deserialize_compact(data, self._keys.factory, algorithms=["ES256"])
                if found.headers().get("kid") != self._keys.factory.kid:
                    return None
                data = json.loads(found.payload or b"")
            status = wire.Status.model_validate(data)
            return status if {feed.tag for feed in self._feeds} <= status.feeds.keys() else None
        return None


def _signed(data: dict[str, Any], key: ECKey) -> str:
    return jws.serialize_compact({"alg": "ES256", "kid": key.kid or ""}, json.dumps(data).encode(), key)


def _shown(caps: Sequence[wire.Cap]) -> str:
    said = ((cap, "no cap" if cap.watts is None else power(cap.watts)) for cap in caps)
    return ", ".join(f"{watts} until {rfc3339(cap.ends_at)}" for cap, watts in said) or "no cap"
