"""The incoming half of a connection: bytes wait for their turn, and are worked off a slice at a time."""

from __future__ import annotations

import asyncio
from abc import abstractmethod

from gridsignal_services.gateway.settings import GatewaySettings
from gridsignal_services.gateway.turns import Share, Turns
from gridsignal_services.gateway.wheel import Lived

READ_BYTES = 16 * 1024
_SLICE_BYTES = 2 * 1024
"""Worked off at once: a few hundred of the smallest frames there are."""
_SMALL_SLICE_BYTES = 256
"""Before the hello, and where a slice has caused more than `_DEAR_S`."""
_DEAR_S = 0.002
_READ_S = 20e-6
"""What the system takes for one read, beside the work on it."""
_INTO = memoryview(bytearray(READ_BYTES))
"""What every socket is read into, and taken out of in the same call."""


class Incoming(asyncio.BufferedProtocol):
    """What has come in and was not looked at yet.

    Bounded: two reads, also while too much of its organisation is unanswered; before the hello `early_reads` and
    `header_bytes`, then `hello_bytes`. When full: the socket is not read; before the hello it is dropped.
    Conflates: nothing.
    """

    transport: asyncio.Transport | None
    has_ended: bool

    def __init__(self, settings: GatewaySettings, turns: Turns, lived: Lived) -> None:
        self.share: Share = turns.strangers
        """At whose expense it is read."""
        self.line: object = self
        """In which line it waits for its turns: its own."""
        self.heard_s = lived.now_s
        """When there was a sign of life."""
        self._turns, self._lived = turns, lived
        self._limits = settings
        self._unread = bytearray()
        self._owed_s = 0.0
        self._is_dear = False
        self._reads = 0
        self._early_bytes = 0
        self._after_the_end = 0
        self.is_at_end = False
        """The peer sends nothing more."""

    # --- what the connection supplies ----------------------------------------------------------------------------

    @abstractmethod
    def take_in(self, piece: bytes) -> None:
        """The next bytes."""

    @property
    @abstractmethod
    def is_held(self) -> bool:
        """Whether it is read on only when what it has asked is answered."""

    @property
    @abstractmethod
    def early_bytes(self) -> int | None:
        """How much may have come by now; None: as much as it likes."""

    @property
    @abstractmethod
    def late_bytes(self) -> int:
        """How much the peer may have sent before it knew of the end; more, and it is dropped."""

    @abstractmethod
    def said_all(self) -> bool:
        """The peer sends nothing more, and all of it was worked off; whether it still waits for an answer."""

    @abstractmethod
    def abort(self) -> None:
        """Drops the socket."""

    # --- in ------------------------------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        return _INTO

    def buffer_updated(self, nbytes: int) -> None:
        self.sign_of_life()
        if self._is_too_much(nbytes):
            self.abort()
            return
        if self._unread and self.transport is not None:
            self.transport.pause_reading()  # what came before still waits for its turn
        self._unread += _INTO[:nbytes]
        self._turns.ask(self)

    def _is_too_much(self, nbytes: int) -> bool:
        """Whether more has come than anybody needs before the hello, or after the end."""
        most = self.early_bytes
        if self.has_ended:
            self._after_the_end += nbytes
            return self._after_the_end > self.late_bytes
        if most is None:
            return False
        self._reads += 1
        self._early_bytes += nbytes
        return self._reads > self._limits.early_reads or self._early_bytes > most

    def eof_received(self) -> bool:
        """Whether the transport stays open: what came before is worked off first, and may wait for its answer."""
        self.is_at_end = True
        if self.transport is None or not self.transport.can_write_eof():  # TLS ends both ways at once
            while self.early_bytes is not None and self._unread and self.work():
                pass  # what is answered at once is answered now or never
            self.said_all()
            return False
        return bool(self._unread) or self.said_all()

    def sign_of_life(self) -> None:
        """The peer is there, or it is we who are busy."""
        self.heard_s = self._lived.now_s

    def owe(self, seconds: float) -> None:
        """What has just been read takes so much more of the loop, later and elsewhere."""
        self._owed_s += seconds

    def take_owed_s(self) -> float:
        """What the last slice cost beside the work on it, once."""
        owed_s, self._owed_s = self._owed_s, 0.0
        self._is_dear = owed_s > _DEAR_S
        return owed_s + _READ_S

    def go_on_reading(self) -> None:
        """It is held no longer."""
        if self._unread:
            self.sign_of_life()  # it was not silent: we were busy
            self._turns.ask(self)

    def work(self) -> bool:
        """Works off a slice; whether there is more."""
        if self.transport is None or self.transport.is_closing():
            self._unread.clear()
            return False
        if self.is_held:
            return False
        is_early = self.early_bytes is not None and not self.has_ended
        size = _SMALL_SLICE_BYTES if is_early or self._is_dear else _SLICE_BYTES
        piece = bytes(self._unread[:size])
        del self._unread[:size]
        self.take_in(piece)
        if self.has_ended and len(self._unread) > self.late_bytes:
            self.abort()  # it came with too much: nobody looks at the rest
            return False
        if self._unread:
            self.sign_of_life()  # it is not silent: we are busy
            return True
        if self.is_at_end:
            if not self.said_all():
                self.transport.close()
            return False
        self.transport.resume_reading()
        return False
