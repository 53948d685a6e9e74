"""`connect`: the way into the grid, and what is said to those who take another."""

from __future__ import annotations

import os
import platform
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from ssl import SSLContext
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from gridsignal.client import Grid
from gridsignal.clock import Clock
from gridsignal.errors import UsageError
from gridsignal.extras import needs
from gridsignal.history import Archive
from gridsignal.lines import Limits
from gridsignal.outbox import MEMORY, Outbox, default_path
from gridsignal.route import route_to
from gridsignal.tokens import Tokens, TokenSource
from gridsignal.version import __version__
from gridsignal.wiring import Wiring

if TYPE_CHECKING:
    from gridsignal.signing import KeySource, Signer

_HOW = "async with gridsignal.connect(...) as grid"


class connect(AbstractAsyncContextManager[Grid]):  # noqa: N801 - it is called like a function
    """A connection to the gateway that comes back by itself, for as long as the block runs.

    `token` is a bearer token, or a function that returns a fresh one each time it is called: an async function, or a
    plain one, which is called on a thread of its own and may block. It has `limits.open_s` to answer. Whitespace around
    a token does no harm.
    `site` is the connection point this program speaks for: needed to offer, answer and report.
    `instance` names this program among those of the participant; a newer session of the same name replaces it.
    `outbox` is the file where messages lie until the log has them; by default one per url, site and instance in the
    user's state directory, and ":memory:" for programs that only read. `clock` replaces grid time.

    With `wss://` the certificate must be of an authority that the system trusts (SSL_CERT_FILE names others), or of one
    in the PEM file `cafile`; `certfile` and `keyfile` are shown to a gateway that asks for a client certificate. `ssl`
    is a context for everything else. A proxy is taken from the environment (HTTPS_PROXY, NO_PROXY), never for this
    machine. `allow_plaintext` lets the token cross a network without TLS: `ws://` beyond this machine.

    While no gateway answers, as during its restart, it is tried for `wait_s` seconds (without a word for
    `limits.first_connect_s`, which are 10) before Unreachable is raised; `math.inf` waits for ever. What no time heals
    is raised at once. A connection that was there once comes back by itself, however long that takes.

    `signing_key` is the file that `gridsignal key new` made, or the private JWK in it: each message is signed with it
    as it is sent, which the registry may ask for. It needs the extra `signing`.

    `api` is the dispatch door's address, where `history` is asked; it is reached directly, without a proxy.

    The grid belongs to the event loop it was connected in; another loop or thread gets a UsageError. In a notebook,
    which runs a loop of its own, `async with` stands in a cell as it is.

    Raises Unreachable, Untrusted, Unauthorized, NotEntitled, ProtocolViolation, UsageError, OutboxFailed.
    """

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource,
        site: str | None = None,
        instance: str | None = None,
        outbox: str | os.PathLike[str] | None = None,
        clock: Clock | None = None,
        limits: Limits | None = None,
        ssl: SSLContext | None = None,
        cafile: str | os.PathLike[str] | None = None,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        allow_plaintext: bool = False,
        api: str | None = None,
        wait_s: float | None = None,
        signing_key: KeySource | None = None,
    ) -> None:
        route = route_to(
            url, context=ssl, cafile=cafile, certfile=certfile, keyfile=keyfile, allow_plaintext=allow_plaintext
        )
        if outbox is None:
            outbox = MEMORY if site is None else default_path(route.url, site, instance)
        if wait_s is not None and not wait_s > 0:
            raise UsageError(f"expected wait_s= above 0, got {wait_s}")
        self._limits = limits or Limits()
        if wait_s is not None:
            self._limits = replace(self._limits, first_connect_s=wait_s)
        tokens = Tokens(token, answer_s=self._limits.open_s)
        self._archive = Archive(
            api, tokens, context=route.tls, timeout_s=self._limits.open_s, allow_plaintext=allow_plaintext
        )
        self._wiring = Wiring(
            route,
            tokens,
            Outbox(outbox),
            self._limits,
            client=f"gridsignal-py/{__version__} ({platform.system()})",
            site=site,
            instance=instance,
            clock=clock,
            signer=None if signing_key is None else _signer(signing_key),
        )
        self._running: AbstractAsyncContextManager[None] | None = None

    async def __aenter__(self) -> Grid:
        if self._running is not None:
            raise UsageError("expected each gridsignal.connect(...) to be entered once, got a second time")
        self._running = self._wiring.running()
        await self._running.__aenter__()
        return Grid(self._wiring, self._limits, self._archive)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is None:
            raise UsageError(f"expected `{_HOW}`, got the end of a block that was never entered")
        await self._running.__aexit__(kind, error, trace)

    def __enter__(self) -> NoReturn:
        raise UsageError(f"expected `{_HOW}`, got `with`")

    def __exit__(self, *_: object) -> None:
        """Python looks for it before it enters."""

    def __await__(self) -> NoReturn:
        raise UsageError(f"expected `{_HOW}`, got `await`")

    def __getattr__(self, name: str) -> NoReturn:
        if name in dir(Grid) and not name.startswith("_"):
            raise UsageError(f"expected `{_HOW}` before grid.{name}, got a connection that was not entered")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _signer(source: KeySource) -> Signer:
    try:
        from gridsignal.signing import Signer, signing_key
    except ModuleNotFoundError as missing:
        raise UsageError(needs("signing_key=", missing.name, "signing")) from None
    return Signer(signing_key(source))
