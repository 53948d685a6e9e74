"""The fake gateway's half of one conversation: frames in, frames out. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from gridsignal.testing.allowance import FRAME_BURST, FRAMES_PER_S, Allowance, FrameRate
from gridsignal.testing.world import Refusal, World, refused
from gridsignal_schemas import frames
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.frames import Detail, Frame
from gridsignal_schemas.messages import (
    GridClock,
    Record,
)
from gridsignal_schemas.records import RECORD_OF_FRAME
from gridsignal_schemas.rules.writes import Speaker, Write, WriteRefused, record_of


@dataclass(slots=True)
class _Wanted:
    stream: str
    want: frames.Filter


class End(NamedTuple):
    """The close of a conversation."""

    code: frames.CloseCode
    reason: str


class Talk:
    """One data center's conversation with the fake gateway."""

    def __init__(
        self,
        world: World,
        wall: Callable[[], datetime],
        allowance: Allowance,
        *,
        frame_rate: tuple[float, int] = (FRAMES_PER_S, FRAME_BURST),
        offer_window: int = 64,
        grid_clock: GridClock | None = None,
    ) -> None:
        self._world, self._wall, self._offer_window, self._grid_clock = world, wall, offer_window, grid_clock
        self._allowance, self._rate = allowance, FrameRate(*frame_rate)
        self._subs: dict[str, _Wanted] = {}
        self.site: str | None = None
        self.instance: str | None = None

    def refusal_of(self, frame: Frame, now_s: float) -> list[Frame] | End | None:
        """Why a frame is not dealt with, or how it ends the conversation; None where it is to be received.

        `now_s` is the machine's time: frames come as fast as sockets carry them, whatever the clock of a test says.
        """
        if wait_ms := self._rate.wait_ms(now_s):
            flooded = End(frames.CloseCode.RATE_LIMITED, "too many frames")
            return flooded if self._rate.is_flooded else [_too_many(frame, wait_ms)]
        if isinstance(frame, frames.Hello) and frame.site not in {None, *self._world.sites}:
            return End(frames.CloseCode.FORBIDDEN, f"{frame.site} is no site of yours")
        return None

    def receive(self, frame: Frame) -> list[Frame]:
        """What the gateway answers."""
        match frame:
            case frames.Hello():
                return [self._welcome(frame)]
            case frames.Subscribe():
                return self._subscribe(frame)
            case frames.Unsubscribe():
                self._subs.pop(frame.sub, None)
                return [frames.Unsubscribed(id=frame.id, sub=frame.sub)]
            case frames.Query():
                return [self._states(frame)]
            case frames.Token():
                return [frames.TokenAccepted(id=frame.id, token_expires_at=self._expiry())]
            case frames.Offer() | frames.Withdraw() | frames.Respond() | frames.Baseline() | frames.Reading():
                return [self._write(frame)]
        return []

    def deliver(self, position: int, record: Record) -> list[Frame]:
        """A record was published; `position` is the one after it."""
        return [
            self._signal(sub, record, self._world.cursor(position))
            for sub, wanted in self._subs.items()
            if self._world.wanted(record, wanted.stream, wanted.want, self.site)
        ]

    def beat(self) -> list[Frame]:
        """The heartbeat: where each stream stands."""
        cursor = self._world.cursor(len(self._world.published))
        return [frames.PositionFrame(sub=sub, cursor=cursor) for sub in self._subs]

    def _welcome(self, hello: frames.Hello) -> frames.Welcome:
        self.site, self.instance = hello.site, hello.instance
        return frames.Welcome(
            id=hello.id,
            session="fake",
            time=self._wall(),
            ping_s=8,
            grid_clock=self._grid_clock,
            max_subscriptions=256,
            offer_window=self._offer_window,
            token_expires_at=self._expiry(),
        )

    def _subscribe(self, frame: frames.Subscribe) -> list[Frame]:
        topic = TOPICS.get(frame.stream)
        if topic is None or not topic.subscribable:
            return [frames.Error(id=frame.id, code="unknown_stream", message=f"no stream {frame.stream!r}")]
        if frame.mode == "latest" and not topic.conflates:
            return [frames.Error(id=frame.id, code="unsupported_mode", message=f"{frame.stream} never conflates")]
        sub = _group(frame)
        if sub in self._subs:
            return [frames.Error(id=frame.id, code="already_subscribed", message="exactly this is subscribed")]
        self._subs[sub] = _Wanted(frame.stream, frame.filter)
        end = self._world.cursor(len(self._world.published))
        reason = None
        if frame.cursor is not None:
            position = self._world.position(frame.cursor)
            if isinstance(position, int):
                missed = self._world.after(position, frame.stream, frame.filter, self.site)
                signals = [self._signal(sub, record, self._world.cursor(at)) for at, record in missed]
                subscribed = frames.Subscribed(id=frame.id, sub=sub, recovery="full")
                return [subscribed, *signals, frames.PositionFrame(sub=sub, cursor=end)]
            reason = position
        if reason is None and not frame.snapshot:
            subscribed = frames.Subscribed(id=frame.id, sub=sub, recovery="none")
            return [subscribed, frames.PositionFrame(sub=sub, cursor=end)]
        current = self._world.snapshot(frame.stream, frame.filter, self.site)
        subscribed = frames.Subscribed(id=frame.id, sub=sub, recovery="snapshot", reason=reason)
        signals = [self._signal(sub, record, None) for record in current]
        return [subscribed, *signals, frames.PositionFrame(sub=sub, cursor=end)]

    def _write(self, frame: Write) -> Frame:
        offer_id, response_id = getattr(frame, "offer_id", None), getattr(frame, "response_id", None)
        record = self._record(frame)
        answer = record if isinstance(record, Refusal) else self._too_fast() or self._world.write(record)
        if isinstance(answer, Refusal):
            return refused(answer, frame.id, offer_id, response_id)
        receipt, duplicate = answer
        return frames.Received(
            id=frame.id, offer_id=offer_id, response_id=response_id, receipt=receipt, duplicate=duplicate
        )

    def _too_fast(self) -> Refusal | None:
        wait_ms = self._allowance.wait_ms(self._wall())
        said = (Detail(code="rate", message="too many writes of this organisation"),)
        return Refusal("rate", retriable=True, retry_after_ms=wait_ms, details=said) if wait_ms else None

    def _record(self, frame: Write) -> Record | Refusal:
        if self.site is None:
            said = "this connection speaks for no site: say which in the hello"
            return Refusal("forbidden", details=(Detail(code="forbidden", message=said),))
        try:
            return record_of(frame, Speaker(self._world.participant, self.site, self._world.sites[self.site].zone))
        except WriteRefused as refused:
            return Refusal(refused.code, details=tuple(refused.details))

    def _states(self, frame: frames.Query) -> frames.States:
        world = self._world
        offers, orders = world.live(self.site)
        if not frame.live:
            offers, orders = [], []
        return frames.States(
            id=frame.id,
            offers={each: world.offer_state(each) for each in frame.offer_ids}
            | {each: world.offer_state(each, live=True) for each in offers},
            orders={each: world.order_state(each) for each in frame.order_ids}
            | {each: world.order_state(each, live=True) for each in orders},
            responses={each: world.response_state(each) for each in frame.response_ids},
            more=False if frame.live else None,
        )

    def _signal(self, sub: str, record: Record, cursor: str | None) -> frames.Signal:
        return frames.Signal(sub=sub, cursor=cursor, type=record.record_name, body=record.model_dump(mode="json"))

    def _expiry(self) -> datetime:
        return self._wall() + timedelta(hours=1)


def _too_many(frame: Frame, wait_ms: int) -> Frame:
    frame_id = getattr(frame, "id", None)
    if frame.t in RECORD_OF_FRAME and frame_id is not None:
        said = (Detail(code="rate", message="too many frames"),)
        refusal = Refusal("rate", retriable=True, retry_after_ms=wait_ms, details=said)
        return refused(refusal, frame_id, getattr(frame, "offer_id", None), getattr(frame, "response_id", None))
    message = f"too many frames: expected none for {wait_ms} ms"
    return frames.Error(id=frame_id, code="rate", message=message, retriable=True)


def _group(frame: frames.Subscribe) -> str:
    said = f"{frame.stream} {frame.filter.model_dump_json()} {frame.mode}"
    return hashlib.sha256(said.encode()).hexdigest()[:8]
