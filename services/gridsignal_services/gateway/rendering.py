"""From records to the bytes of WebSocket messages: built once, the same for every member of a group.

Server frames are unmasked, so the WebSocket header too is the same for everyone and is put before the payload once.
"""

from __future__ import annotations

import struct

from gridsignal_schemas.frames import Frame

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


def signal_json(sub: str, cursor: str | None, record_name: str, body: bytes) -> bytes:
    """A `signal` as one text message; sub, cursor and record name are plain ASCII without quotes."""
    place = f'"cursor":"{cursor}",' if cursor is not None else ""
    head = f'{{"t":"signal","sub":"{sub}",{place}"type":"{record_name}","body":'
    return message(TEXT, b"".join((head.encode(), body, b"}")))


def signal_avro(sub: str, cursor: str | None, value: bytes) -> bytes:
    """A signal as one binary message: type, sub, cursor, then the log's value untouched.

    Layout: 1 byte 0x01 | 1 byte length of sub | sub | 2 bytes big-endian length of cursor | cursor | value.
    """
    name, place = sub.encode(), (cursor or "").encode()
    return message(
        BINARY, struct.pack(">BB", AVRO_SIGNAL, len(name)) + name + struct.pack(">H", len(place)) + place + value
    )
