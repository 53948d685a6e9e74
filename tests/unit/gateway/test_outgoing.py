"""What goes out leaves in one write a tick, and each tick is asked for once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from gridsignal_protocol.server.closing import Close
from gridsignal_services.gateway.hub import Batch, Prepared
from gridsignal_services.gateway.outgoing import Outgoing
from gridsignal_services.gateway.settings import GatewaySettings
from tests.effort import examples


class Socket:
    """Takes everything at once."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return False


class Counted(Outgoing):
    """Counts how often it asks for a tick."""

    def __init__(self) -> None:
        super().__init__(GatewaySettings(data_directory=Path()))
        self.socket = Socket()
        self.transport = cast("Any", self.socket)
        self.asked = 0

    def schema_message(self, schema_id: int) -> bytes:
        raise NotImplementedError("nothing here is Avro")

    def poured(self) -> None: ...

    def close(self, end: Close) -> None: ...

    def wrote(self) -> None:
        self.asked += 1


@settings(max_examples=examples(100))
@given(st.lists(st.sampled_from(("send", "late", "batch", "tick")), max_size=20))
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
