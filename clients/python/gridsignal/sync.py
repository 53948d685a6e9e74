"""The grid for scripts and notebooks: the calls of `gridsignal.Grid`, which return when they are done.

    with gridsignal.sync.connect("ws://localhost:8081", token=token, site="fra-1") as grid:
        for signal in grid.subscribe("prices", "dispatch", zones=["DE-LU"]):
            ...

The connection lives in an event loop on a thread of its own, so that it works where another loop runs, and answers
pings while the program computes. Every thread may call; an error is the one that the asynchronous call raises.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from datetime import datetime
from functools import partial, update_wrapper, wraps
from threading import Lock
from types import TracebackType
from typing import Any, Concatenate, Generic, Literal, NoReturn, ParamSpec, Self, TypeVar, overload

from gridsignal import client, connection, regulating, subscription
from gridsignal.background import Background, outcome
from gridsignal.errors import GridClosed, Unreachable, UsageError
from gridsignal.history import CarbonPoint, PricePoint, Settled
from gridsignal_protocol.client.messages import Message
from gridsignal_protocol.client.regulation import Followed
from gridsignal_schemas.frames import Mode
from gridsignal_schemas.messages import DispatchOrder

__all__ = ["Connection", "Grid", "Regulation", "Subscription", "connect"]

P = ParamSpec("P")
R = TypeVar("R")
_HOW = "with gridsignal.sync.connect(...) as grid"


def _blocking(
    method: Callable[Concatenate[client.Grid, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Grid, P], R]:
    """The same call, which returns when it is done."""

    @wraps(method)
    def call(self: Grid, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._wait(method.__name__, lambda: method(self._grid, *args, **kwargs))

    return call


class Grid:
    """The grid, as seen from one site; made by `connect`. Its calls are those of `gridsignal.Grid`."""

    def __init__(self, grid: client.Grid, background: Background) -> None:
        self._grid, self._background = grid, background
        self.timeout: float | None = 60.0
        """How many seconds a call waits before it is Unreachable; None: as long as it takes."""

    def now(self) -> datetime:
        """Grid time, aware, in UTC: what every datetime in a record is compared with."""
        return self._grid.now()

    @property
    def zone(self) -> str | None:
        """The zone in which the connection's site lies; None without a site."""
        return self._grid.zone

    def subscribe(
        self,
        *streams: str,
        zones: Sequence[str] | None = None,
        products: Sequence[str] | None = None,
        accounting: Sequence[str] | None = None,
        mode: Mode = "every",
        snapshot: bool = True,
        cursor: Mapping[str, str] | str | None = None,
        timeout: float | None = None,
    ) -> Subscription:
        """An iterator over one or more streams, as that of `gridsignal.Grid.subscribe`, which blocks for the next.

        It raises TimeoutError where no message came for `timeout` seconds, and can be read on after that.
        """

        async def subscribed() -> subscription.Subscription:
            return self._grid.subscribe(
                *streams,
                zones=zones,
                products=products,
                accounting=accounting,
                mode=mode,
                snapshot=snapshot,
                cursor=cursor,
            )

        return Subscription(self._wait("subscribe", subscribed), self._background, timeout)

    def regulate(self, order: DispatchOrder, timeout: float | None = None) -> Regulation:
        """An iterator over where the site is to be under an order, as that of `gridsignal.Grid.regulate`, which blocks
        for the next; with a `timeout` as that of `subscribe` has it."""

        async def regulated() -> regulating.Regulation:
            return self._grid.regulate(order)

        signal = self._wait("regulate", regulated)
        return Regulation(partial(_followed, signal), signal.aclose, self._background, timeout)

    query = _blocking(client.Grid.query)
    orders = _blocking(client.Grid.orders)
    offers = _blocking(client.Grid.offers)
    offer = _blocking(client.Grid.offer)
    stand_by = _blocking(client.Grid.stand_by)
    withdraw = _blocking(client.Grid.withdraw)
    accept = _blocking(client.Grid.accept)
    refuse = _blocking(client.Grid.refuse)
    report = _blocking(client.Grid.report)
    baseline = _blocking(client.Grid.baseline)
    declare_baseline = _blocking(client.Grid.declare_baseline)
    meter = _blocking(client.Grid.meter)
    ping = _blocking(client.Grid.ping)
    dispute = _blocking(client.Grid.dispute)
    acknowledge = _blocking(client.Grid.acknowledge)
    heads = _blocking(client.Grid.heads)
    matching = _blocking(client.Grid.matching)
    fixed_baselines = _blocking(client.Grid.fixed_baselines)
    products = _blocking(client.Grid.products)
    proof = _blocking(client.Grid.proof)

    @wraps(client.Grid.settlements)
    def settlements(self, *args: Any, **kwargs: Any) -> list[Settled]:
        async def found() -> list[Settled]:
            return [each async for each in self._grid.settlements(*args, **kwargs)]

        return self._wait("settlements", found)

    @overload
    def history(
        self, signal: Literal["prices"], zone: str, start: datetime, end: datetime, *, as_of: datetime | None = None
    ) -> list[PricePoint]: ...

    @overload
    def history(
        self, signal: Literal["carbon"], zone: str, start: datetime, end: datetime, *, as_of: datetime | None = None
    ) -> list[CarbonPoint]: ...

    @wraps(client.Grid.history)
    def history(self, *args: Any, **kwargs: Any) -> Any:
        return self._wait("history", lambda: self._grid.history(*args, **kwargs))

    def _wait(self, name: str, call: Callable[[], Coroutine[Any, Any, R]]) -> R:
        under_way = self._background.start(call)
        try:
            return outcome(under_way, self.timeout)
        except TimeoutError as error:
            if not under_way.cancel():
                return under_way.result()  # it came in that moment
            late = f"no answer to grid.{name} within {self.timeout:g} s"
            raise Unreachable(f"{late}; what was entrusted is in the outbox, and is sent") from error


class _Blocking(Generic[R]):
    """A blocking iterator for one reader; also a context manager that ends it early."""

    def __init__(
        self,
        read: Callable[[], Coroutine[Any, Any, R | None]],
        end: Callable[[], Coroutine[Any, Any, None]],
        background: Background,
        timeout: float | None,
    ) -> None:
        self.timeout = timeout
        """How many seconds it waits for a message before it raises TimeoutError; None: as long as it takes."""
        self._read, self._end, self._background = read, end, background
        self._next: Future[R | None] | None = None
        self._reading = Lock()

    def __iter__(self) -> Self:
        return self

    def _take(self) -> R:
        if not self._reading.acquire(blocking=False):
            raise UsageError("expected one reader of a subscription, got a second while the first waits")
        try:
            # one that a timeout or Ctrl-C interrupted is waited for again: no message is lost with it
            self._next = self._next or self._background.start(self._read)
            read = outcome(self._next, self.timeout)
            self._next = None
        except GridClosed:
            read = None
        finally:
            self._reading.release()
        if read is None:
            raise StopIteration
        return read

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends it, also for a reader in another thread."""
        with suppress(GridClosed):  # which has ended it
            outcome(self._background.start(self._end), None)

    def __del__(self) -> None:
        # what nobody holds any more (`break` out of the loop) has ended before the same is subscribed again
        with suppress(GridClosed, UsageError):
            self._background.start(self._end)


class Subscription(_Blocking[tuple[Message, dict[str, str]]]):
    """A blocking iterator of messages for one reader; also a context manager that ends it early."""

    def __init__(self, signals: subscription.Subscription, background: Background, timeout: float | None) -> None:
        super().__init__(partial(_read, signals), signals.aclose, background, timeout)
        self._cursor = signals.cursor

    @property
    def cursor(self) -> dict[str, str]:
        """The position after the last message handed on, by stream: save it, and give it to `subscribe(cursor=)`."""
        return dict(self._cursor)

    def __next__(self) -> Message:
        message, self._cursor = self._take()
        return message


class Regulation(_Blocking[Followed]):
    """A blocking iterator of what a site follows under one order; also a context manager that ends it early."""

    def __next__(self) -> Followed:
        return self._take()


async def _read(signals: subscription.Subscription) -> tuple[Message, dict[str, str]] | None:
    async for message in signals:
        return message, signals.cursor
    return None


async def _followed(signal: regulating.Regulation) -> Followed | None:
    async for followed in signal:
        return followed
    return None


class Connection(AbstractContextManager[Grid]):
    """A connection to the gateway that comes back by itself, for as long as the `with` block runs."""

    def __init__(self, connection: AbstractAsyncContextManager[client.Grid]) -> None:
        self._background = Background(connection)

    def __enter__(self) -> Grid:
        return Grid(self._background.enter(), self._background)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._background.leave()

    async def __aenter__(self) -> NoReturn:
        raise UsageError(f"expected `{_HOW}`, got `async with`, which gridsignal.connect is for")

    async def __aexit__(self, *_: object) -> None:
        """Python looks for it before it enters."""

    def __getattr__(self, name: str) -> NoReturn:
        if name in dir(Grid) and not name.startswith("_"):
            raise UsageError(f"expected `{_HOW}` before grid.{name}, got a connection that was not entered")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _with(connect: Callable[P, AbstractAsyncContextManager[client.Grid]]) -> Callable[P, Connection]:
    """The same arguments, for `with` instead of `async with`."""

    def opened(*args: P.args, **kwargs: P.kwargs) -> Connection:
        return Connection(connect(*args, **kwargs))

    return update_wrapper(opened, connect, assigned=("__name__", "__qualname__"), updated=())


connect = _with(connection.connect)
connect.__doc__ = f"""What `gridsignal.connect` is, with the same arguments, for `{_HOW}`."""
