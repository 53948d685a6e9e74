"""The fake gateway's server: a loopback port of its own, the library `websockets`, and switches for what goes wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, Self, TypeVar

from websockets.asyncio.connection import broadcast
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from gridsignal.clock import wall
from gridsignal.testing import operating, rest
from gridsignal.testing.allowance import Allowance
from gridsignal.testing.records import a_request, an_order
from gridsignal.testing.signed import Signatures
from gridsignal.testing.site import FakeSite
from gridsignal.testing.talk import Talk
from gridsignal.testing.world import Refusal, World
from gridsignal.upgrade import WithoutSecrets
from gridsignal_protocol.server.limits import STATED, Limits
from gridsignal_schemas import frames
from gridsignal_schemas.messages import (
    DispatchOrder,
    DispatchRequest,
    FlexOffer,
    GridClock,
    OrderState,
    Record,
    RequestCancellation,
)

_R = TypeVar("_R", bound=Record)
_SITES = {"fra-1": FakeSite()}
_TICK_S = 0.05
_library_log = logging.getLogger("gridsignal.testing.library")
_library_log.addFilter(WithoutSecrets())


class FakeGrid:
    """A grid with one participant, on 127.0.0.1 for as long as the block runs.

    `now` is a function that tells its wall time; with a `grid_clock` grid time runs from there as in a simulation. A
    test that does not want to wait gives it and its clients one clock: `clock = ManualClock(...)`,
    `FakeGrid(now=clock.now)`, `connect(..., clock=clock)`, and moves that. `now()` tells grid time: deadlines hold,
    orders begin and end by it.

    It takes `writes_per_s`, and `write_burst` at once, as a gateway does; more is refused with `rate`. So it is with
    `frames_per_s` of each connection, which ends (4029) where it owes another burst.
    `sites` are the participant's: each a FakeSite, or its zone alone. What a site can give follows from its baseline,
    its minimum load and its connection; without a word it draws 40 MW, of which 28 MW can be shed.
    `keys` are the participant's public keys by kid, in hexadecimal, `signatures` and `signed_for` what the registry
    says of them; signatures expire by the machine's own time.
    """

    def __init__(
        self,
        *,
        participant: str = "acme-ai",
        sites: Mapping[str, str | FakeSite] | None = None,
        token: str = "fake-token",  # noqa: S107 - it opens nothing
        grid_clock: GridClock | None = None,
        offer_window: int = STATED.offer_window,
        now: Callable[[], datetime] = wall,
        writes_per_s: float = 1000.0,
        write_burst: int = 5000,
        frames_per_s: float = STATED.frames_per_s,
        frame_burst: int = STATED.frame_burst,
        keys: Mapping[str, str] | None = None,
        signatures: Literal["optional", "required"] = "optional",
        signed_for: str = "fake",
    ) -> None:
        known = {name: FakeSite(zone=of) if isinstance(of, str) else of for name, of in (sites or _SITES).items()}
        self.world = World(now if grid_clock is None else lambda: grid_clock.at(now()), participant, known)
        self.token = token
        self.tokens = {token}
        """Tokens it takes at the next upgrade."""
        self.upgrades = 0
        self.hold_answers = False
        """Take writes and answer nothing, as if every receipt were lost."""
        self.unavailable: tuple[int, Mapping[str, str]] | None = None
        """Answer upgrades with this HTTP status and these headers, as something in front of the gateway would."""
        self.allowance = Allowance(writes_per_s, write_burst)
        self._wall, self._grid_clock = now, grid_clock
        self._signatures = Signatures(keys or {}, signed_for, is_required=signatures == "required")
        self._limits = Limits(offer_window=offer_window, frames_per_s=frames_per_s, frame_burst=frame_burst)
        self._ticking: asyncio.Task[None] | None = None
        self._talks: dict[ServerConnection, Talk] = {}
        self._seen: dict[type[Record], int] = {}
        self._news = asyncio.Event()
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
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
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Ends all connections (1001) and stops listening."""
        if self._ticking is not None:
            self._ticking.cancel()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    @property
    def url(self) -> str:
        """What `connect` takes."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def api(self) -> str:
        """What `connect(api=...)` takes: prices and carbon that were published, what a site declared, its readings."""
        return f"http://127.0.0.1:{self.port}"

    def now(self) -> datetime:
        """Grid time."""
        return self.world.now()

    # --- what the grid does --------------------------------------------------------------------------------------

    def publish(self, record: _R) -> _R:
        """Puts a record on the log and delivers it to everyone who may see it."""
        if not self.world.publish(record):
            return record
        position = len(self.world.published)
        for socket, talk in self._talks.items():
            talk.deliver(position, record)
            self._send(socket, talk)
        return record

    def ask(
        self, power_w: int, *, direction: str = "LOAD_DECREASE", in_s: int = 3600, **fields: Any
    ) -> DispatchRequest:
        """Publishes a request that starts `in_s` seconds from now; every field can be given by name.

        Raises ValueError for one that the operators' door would refuse; `publish` takes whatever is on a log.
        """
        self.advance()
        zone = next(iter(self.world.sites.values())).zone
        request = a_request(self.now(), zone, power_w, direction, in_s, **fields)
        operating.ask(self.world.ledger, request, self.now())
        return self.publish(request)

    def award(self, offer: FlexOffer, power_w: int | None = None, **fields: Any) -> DispatchOrder:
        """Publishes the order on an offer's first option; every field of the order can be given.

        The site has the request's `respond_within_s` to answer; the offer is AWARDED once it has accepted. The other
        offers on the request stand by: each can be awarded next.
        Raises ValueError for an offer that no operator could award: rejected, withdrawn, expired, awarded before.
        """
        self.advance()
        standing = self.world.ledger.offers.get(offer.offer_id)
        if standing is not None and not standing.callable:
            why = f" ({', '.join(standing.codes)})" if standing.codes else ""
            raise ValueError(f"expected an offer that is LIVE or STANDBY, got {standing.state}{why}")
        asked = self.world.ledger.asked.get(offer.request_id or "")
        request = None if asked is None else asked.request
        order = self.publish(an_order(self.now(), offer, request, power_w, **fields))
        self._publish_owed()
        return order

    def change(self, order: DispatchOrder, *, ends_at: datetime, **fields: Any) -> DispatchOrder:
        """The operator lets an order end earlier or later: its next revision. Raises ValueError."""
        self.advance()
        changed = operating.change(self.world.ledger, order.order_id, self.now(), ends_at=ends_at, **fields)
        self._publish_owed()
        return changed

    def cancel(self, request: DispatchRequest, reason: str = "") -> None:
        """The operator takes a request back: offers are released, orders cancelled, and one that runs ends now."""
        self.advance()
        named = {"zone": request.zone, "request_id": request.request_id, "actor": "operator:tso-fake"}
        self.publish(RequestCancellation(**named, reason_code="", reason=reason))
        operating.cancel(self.world.ledger, request, self.now())
        self._publish_owed()

    def cancel_order(self, order: DispatchOrder, reason: str = "") -> None:
        """The operator takes one order back before it begins. Raises ValueError."""
        self.advance()
        operating.change(self.world.ledger, order.order_id, self.now(), state=OrderState.CANCELLED, reason=reason)
        self._publish_owed()

    def advance(self) -> None:
        """Does now what the grid's clock has brought about, instead of within the next 50 ms."""
        self.world.ledger.pass_time(self.now())
        self._publish_owed()

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
            talk.beat()
            self._send(socket, talk)

    def forget(self, why: Literal["retention", "epoch"] = "retention") -> None:
        """Makes cursors useless: all that are not at the log's end (retention), or all (epoch)."""
        if why == "retention":
            self.world.kept_from = len(self.world.published)
        else:
            self.world.epoch += 1

    # --- the server ----------------------------------------------------------------------------------------------

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        self.upgrades += not rest.is_asked(request.path)
        if self.unavailable is not None:
            return rest.respond(socket, *self.unavailable, "unavailable\n")
        if request.headers.get("Authorization") not in {f"Bearer {token}" for token in self.tokens}:
            return rest.respond(socket, 401, {frames.ANSWER_HEADER: "gateway"}, "unauthorized\n")
        return rest.answered(self.world, socket, request.path)

    async def _serve(self, socket: ServerConnection) -> None:
        now_s = asyncio.get_running_loop().time
        known = (self.world, self._wall, self.allowance, self._limits)
        talk = Talk(*known, now_s(), self._grid_clock, self._signatures)
        try:
            async for message in socket:
                talk.receive(message, now_s())
                self._news.set()
                if talk.is_open:
                    self._talks[socket] = talk
                self._send(socket, talk)
                if talk.end is not None:
                    await socket.close(talk.end.code, talk.end.reason)
                self._publish_owed()
        except ConnectionClosed:
            pass
        finally:
            self._talks.pop(socket, None)
            self._news.set()

    def _send(self, socket: ServerConnection, talk: Talk) -> None:
        for frame in talk.frames_to_send():
            if not (self.hold_answers and isinstance(frame, frames.Received | frames.Refused)):
                broadcast([socket], frame.encode())

    def _publish_owed(self) -> None:
        owed, self.world.ledger.owed = self.world.ledger.owed, []
        for record in owed:
            self.publish(record)

    async def _tick(self) -> None:
        while True:
            self.advance()
            await asyncio.sleep(_TICK_S)
