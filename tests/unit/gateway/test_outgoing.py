"""What goes out leaves in one write a tick, and each tick is asked for once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_protocol.server.closing import Close
from gridsignal_schemas.frames import Frame
from gridsignal_services.gateway.hub import Batch, Prepared
from gridsignal_services.gateway.outgoing import Outgoing
from gridsignal_services.gateway.settings import GatewaySettings
from tests.effort import examples


class Socket:
    """Takes everything at once, and may be full then."""

    def __init__(self, full: Callable[[], None]) -> None:
        self.writes: list[bytes] = []
        self.fills = False
        self._full = full

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        if self.fills:
            self.fills = False
            self._full()

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str) -> None:
        """It is in memory."""

    def set_write_buffer_limits(self, *, high: int, low: int) -> None:
        """Takes everything, whatever they are."""


class Counted(Outgoing):
    """Counts how often it asks for a tick."""

    def __init__(self) -> None:
        super().__init__(GatewaySettings(data_directory=Path()))
        self.socket = Socket(lambda: self.stop_writing(0.0))
        self.plug(cast("Any", self.socket))
        self.asked = 0

    def schema_message(self, schema_id: int) -> bytes:
        raise NotImplementedError("nothing here is Avro")

    def poured(self) -> None: ...

    def close(self, end: Close) -> None: ...

    def wrote(self) -> None:
        self.asked += 1


class Collected:
    """Takes batches in place of a socket."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def collect(self, batch: Batch) -> None:
        self.got.append(batch.chunk)

    def collect_frame(self, frame: Frame) -> None: ...

    def settle(self) -> None: ...


@settings(max_examples=examples(100))
@given(st.lists(st.sampled_from(("send", "late", "batch", "last", "tick")), max_size=20))
def test_a_tick_is_asked_for_once_and_only_where_something_waits(acts: list[str]) -> None:
    outgoing = Counted()
    waits: list[bytes] = []
    late: list[bytes] = []
    for number, act in enumerate([*acts, "tick"]):
        message = b"%d;" % number
        match act:
            case "send":
                outgoing.send_message(message)
                waits.append(message)
            case "batch":
                outgoing.accept(Batch("s", [Prepared(message)]))
                waits.append(message)
            case "last":
                outgoing.accept_last(Batch("s", [Prepared(message)]))
                if waits or late:
                    waits.append(message)
                else:
                    assert outgoing.socket.writes.pop() == message
            case "late":
                outgoing.send_late(message)
                late.append(message)
            case "tick":
                outgoing.flush()
                said = b"".join(waits + late)
                assert outgoing.socket.writes == ([said] if said else [])
                outgoing.socket.writes.clear()
                waits, late, outgoing.asked = [], [], 0
        assert outgoing.asked == bool(waits or late)


@settings(max_examples=examples(100))
@given(st.lists(st.sampled_from(("send", "batch", "last", "fills", "room", "tick")), max_size=20))
def test_all_of_each_lane_goes_out_in_its_order_however_often_the_socket_is_full(acts: list[str]) -> None:
    outgoing = Counted()
    signals: list[bytes] = []
    frames: list[bytes] = []
    for number, act in enumerate([*acts, "room", "tick", "room"]):
        match act:
            case "send":
                frames.append(b"frame %d;" % number)
                outgoing.send_message(frames[-1])
            case "batch" | "last":
                signals.append(b"signal %d;" % number)
                accept = outgoing.accept if act == "batch" else outgoing.accept_last
                accept(Batch("s", [Prepared(signals[-1])]))
            case "fills":
                outgoing.socket.fills = True
            case "room" if not outgoing.takes_more:
                outgoing.go_on_writing()
            case "tick":
                outgoing.flush()
    written = b"".join(outgoing.socket.writes)
    assert re.findall(rb"signal \d+;", written) == signals
    assert re.findall(rb"frame \d+;", written) == frames


def test_a_collector_gets_what_would_be_written_at_once() -> None:
    outgoing, collected = Counted(), Collected()
    outgoing.collect_with(collected)
    outgoing.accept_last(Batch("s", [Prepared(b"1;")]))
    assert (collected.got, outgoing.socket.writes) == ([b"1;"], [])


def test_nothing_is_written_behind_the_end() -> None:
    outgoing = Counted()
    outgoing.end()
    outgoing.accept_last(Batch("s", [Prepared(b"1;")]))
    outgoing.flush()
    assert outgoing.socket.writes == []
