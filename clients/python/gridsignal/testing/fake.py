"""The fake gateway's server: a loopback port of its own, the library `websockets`, and switches for what goes wrong."""

from __future__ import annotations

import asyncio
import http
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from websockets.asyncio.connection import broadcast
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from gridsignal.clock import wall
from gridsignal.ids import uuid7
from gridsignal.testing.talk import Talk
from gridsignal.testing.world import Refusal, World
from gridsignal.upgrade import WithoutSecrets
from gridsignal_schemas import frames
from gridsignal_schemas.messages import DispatchOrder, DispatchRequest, FlexOffer, GridClock, OfferDecision, Record

_R = TypeVar("_R", bound=Record)
_library_log = logging.getLogger("gridsignal.testing.library")
_library_log.addFilter(WithoutSecrets())


class FakeGrid:
    """A grid with one participant, on 127.0.0.1 for as long as the block runs.

    `now` is its wall clock; with a `grid_clock` its clients scale their time as in a simulation.
    """

    def __init__(
        self,
        *,
        participant: str = "acme-ai",
        sites: Mapping[str, str] | None = None,
        token: str = "fake-token",  # noqa: S107 - it opens nothing
        grid_clock: GridClock | None = None,
        offer_window: int = 64,
        now: Callable[[], datetime] = wall,
    ) -> None:
        self.world = World(now, participant, sites or {"fra-1": "DE-LU"})
        self.token = token
        self.tokens = {token}
        """Tokens it takes at the next upgrade."""
        self.upgrades = 0
        self.hold_answers = False
        """Take writes and answer nothing, as if every receipt were lost."""
        self.unavailable: tuple[int, Mapping[str, str]] | None = None
        """Answer upgrades with this HTTP status and these headers, as something in front of the gateway would."""
        self._grid_clock, self._offer_window = grid_clock, offer_window
        self._talks: dict[ServerConnection, Talk] = {}
        self._seen: dict[type[Record], int] = {}
        self._news = asyncio.Event()
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listens; port 0 takes a free one."""
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            port,
            subprotocols=[Subprotocol(frames.SUBPROTOCOL_JSON)],
            process_request=self._admit,
            compression=None,
            max_size=frames.MAX_CLIENT_FRAME,
            ping_interval=None,
            logger=_library_log,
        )
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends all connections (1001) and stops listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    @property
    def url(self) -> str:
        """What `connect` takes."""
        return f"ws://127.0.0.1:{self.port}"

    # --- what the grid does --------------------------------------------------------------------------------------

    def publish(self, record: _R) -> _R:
        """Puts a record on the log and delivers it to everyone who may see it."""
        self.world.published.append(record)
        position = len(self.world.published)
        for socket, talk in self._talks.items():
            for frame in talk.deliver(position, record):
                broadcast([socket], frame.encode())
        return record

    def ask(
        self, power_w: int, *, direction: str = "LOAD_DECREASE", in_s: int = 3600, **fields: Any
    ) -> DispatchRequest:
        """Publishes a request that starts `in_s` seconds from now; every field can be given by name."""
        starts_at = self.world.now() + timedelta(seconds=in_s)
        filled: dict[str, Any] = {
            "zone": next(iter(self.world.sites.values())),
            "request_id": uuid7(),
            "revision": 1,
            "operator": "tso-fake",
            "product": "test",
            "purpose": "CONGESTION",
            "text": "a request of the fake grid",
            "direction": direction,
            "visibility": "PUBLIC",
            "audience": [],
            "starts_at": starts_at,
            "ends_at": starts_at + timedelta(minutes=45),
            "power_w": power_w,
            "min_quantity_w": min(power_w, 1_000_000),
            "currency": "EUR",
            "pricing": "PAY_AS_BID",
            "firmness": "VOLUNTARY",
            "max_notice_s": in_s // 4,
            "full_activation_s": in_s // 4,
            "gate_closure_at": self.world.now() + timedelta(seconds=in_s / 4),
            "decision_deadline": self.world.now() + timedelta(seconds=in_s / 2),
            "respond_within_s": in_s // 8,
            "clearing_mode": "AUTOMATIC",
            "run_mode": "LIVE",
        }
        return self.publish(DispatchRequest(**filled | fields))

    def award(self, offer: FlexOffer, power_w: int | None = None, **fields: Any) -> DispatchOrder:
        """Publishes the decision and the order on an offer's first option; every field of the order can be given."""
        option = offer.options[0]
        shared: dict[str, Any] = {"zone": offer.zone, "request_id": offer.request_id, "participant": offer.participant}
        shared |= {"site": offer.site, "offer_id": offer.offer_id, "option": option.option}
        power_w = power_w or option.power_w
        decided: dict[str, Any] = {
            "revision": offer.revision,
            "decision": "AWARDED",
            "codes": [],
            "power_w": power_w,
            "reason": "",
        }
        self.publish(OfferDecision(**shared | decided))
        filled: dict[str, Any] = shared | {
            "order_id": uuid7(),
            "revision": 1,
            "quantity_kind": "DELTA",
            "power_w": power_w,
            "direction": self._direction(offer),
            "starts_at": option.starts_at,
            "ends_at": option.ends_at,
            "price_per_mwh": option.price_per_mwh,
            "respond_by": self.world.now() + timedelta(minutes=5),
            "on_comms_loss": "COMPLETE",
            "state": "ISSUED",
            "actor": "fake",
            "reason_code": "",
            "reason": "",
            "run_mode": "LIVE",
        }
        return self.publish(DispatchOrder(**filled | fields))

    def refuse(self, code: str, *, times: int = 1, retriable: bool = False, retry_after_ms: int = 0) -> None:
        """Refuses the next writes."""
        self.world.refusals.extend([Refusal(code, retriable, retry_after_ms)] * times)

    async def next(self, kind: type[_R], **fields: Any) -> _R:
        """The next record of this kind (and with these fields) that a data center has written; each is given once."""
        while True:
            start = self._seen.get(kind, 0)
            for at, record in enumerate(self.world.written[start:], start=start):
                if isinstance(record, kind) and all(getattr(record, name) == value for name, value in fields.items()):
                    self._seen[kind] = at + 1
                    return record
            self._news.clear()
            await self._news.wait()

    # --- what goes wrong -----------------------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """Connections that were welcomed and are open."""
        return len(self._talks)

    def break_lines(self) -> None:
        """Cuts every connection without a goodbye."""
        for socket in list(self._talks):
            socket.transport.abort()

    async def close(self, code: int, reason: str = "") -> None:
        """Closes every connection with this code."""
        for socket in list(self._talks):
            await socket.close(code, reason)

    def drain(self, reconnect_after_ms: int = 0) -> None:
        """Asks every client to come back on another connection; the old ones stay open until they leave."""
        self.tell(frames.Drain(reconnect_after_ms=reconnect_after_ms))

    def tell(self, frame: frames.Frame) -> None:
        """Sends any frame to everyone."""
        broadcast(list(self._talks), frame.encode())

    def beat(self) -> None:
        """Sends the heartbeat: position frames."""
        for socket, talk in self._talks.items():
            for frame in talk.beat():
                broadcast([socket], frame.encode())

    def forget(self, why: Literal["retention", "epoch"] = "retention") -> None:
        """Makes cursors useless: all that are not at the log's end (retention), or all (epoch)."""
        if why == "retention":
            self.world.kept_from = len(self.world.published)
        else:
            self.world.epoch += 1

    # --- the server ----------------------------------------------------------------------------------------------

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        self.upgrades += 1
        if self.unavailable is not None:
            status, headers = self.unavailable
            response = socket.respond(http.HTTPStatus(status), "unavailable\n")
            for name, value in headers.items():
                response.headers[name] = value
            return response
        if request.headers.get("Authorization") not in {f"Bearer {token}" for token in self.tokens}:
            response = socket.respond(http.HTTPStatus.UNAUTHORIZED, "unauthorized\n")
            response.headers[frames.ANSWER_HEADER] = "gateway"
            return response
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        talk = Talk(self.world, offer_window=self._offer_window, grid_clock=self._grid_clock)
        try:
            async for text in socket:
                body = json.loads(text)
                frame = frames.CLIENT_FRAMES[body["t"]].model_validate(body)
                answers = talk.receive(frame)
                self._news.set()
                if isinstance(frame, frames.Hello):
                    self._talks[socket] = talk
                if not (self.hold_answers and isinstance(answers[0], frames.Received | frames.Refused)):
                    for answer in answers:
                        broadcast([socket], answer.encode())
        except ConnectionClosed:
            pass
        finally:
            self._talks.pop(socket, None)
            self._news.set()

    def _direction(self, offer: FlexOffer) -> str:
        for record in self.world.published:
            if isinstance(record, DispatchRequest) and record.request_id == offer.request_id:
                return record.direction
        return "LOAD_DECREASE"
