"""From records to the bytes on the wire: built once, the same for every member of a group.

Server frames are unmasked, so the WebSocket header too is the same for everyone and is put before the payload once.
An event of an event stream (HTML Living Standard, 9.2) has a frame's type as its name, its cursor as its id and the
frame as its data.
"""

from __future__ import annotations

import struct
from typing import Literal

from gridsignal_schemas.frames import Frame

Encoding = Literal["json", "avro", "events", "frames"]
"""How a connection is written to: WebSocket messages with signals in JSON or Avro, an event stream, or the frames
themselves, of which one answer is made."""

TEXT = 0x81
"""A final text frame's first byte."""
BINARY = 0x82
AVRO_SIGNAL = 0x01
"""First byte of a binary envelope: a signal."""


def message(opcode: int, payload: bytes) -> bytes:
    """One unfragmented server-to-client WebSocket message (RFC 6455, 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((opcode, length)) + payload
    if length < 65_536:
        return struct.pack(">BBH", opcode, 126, length) + payload
    return struct.pack(">BBQ", opcode, 127, length) + payload


def frame_message(frame: Frame) -> bytes:
    """A frame of the protocol as one text message."""
    return message(TEXT, frame.encode().encode())


def rendered(encoding: Encoding, frame: Frame) -> bytes:
    """A frame as it is written to connections of this encoding."""
    if encoding == "events":
        return event(frame.t, getattr(frame, "cursor", None), frame.encode().encode())
    if encoding == "frames":
        return frame.encode().encode()
    return frame_message(frame)


def event(name: str, cursor: str | None, data: bytes) -> bytes:
    """One event; `data` has no line breaks, as JSON without white space has none."""
    place = f"id: {cursor}\n" if cursor is not None else ""
    return b"".join((f"event: {name}\n{place}data: ".encode(), data, b"\n\n"))


def signal_json(encoding: Encoding, sub: str, cursor: str | None, record_name: str, body: bytes) -> bytes:
    """A `signal` with its record in JSON; sub, cursor and record name are plain ASCII without quotes."""
    place = f'"cursor":"{cursor}",' if cursor is not None else ""
    head = f'{{"t":"signal","sub":"{sub}",{place}"type":"{record_name}","body":'
    frame = b"".join((head.encode(), body, b"}"))
    if encoding == "events":
        return event("signal", cursor, frame)
    return frame if encoding == "frames" else message(TEXT, frame)


def signal_avro(sub: str, cursor: str | None, value: bytes) -> bytes:
    """A signal as one binary message: type, sub, cursor, then the log's value untouched.

    Layout: 1 byte 0x01 | 1 byte length of sub | sub | 2 bytes big-endian length of cursor | cursor | value.
    """
    name, place = sub.encode(), (cursor or "").encode()
    return message(
        BINARY, struct.pack(">BB", AVRO_SIGNAL, len(name)) + name + struct.pack(">H", len(place)) + place + value
    )
