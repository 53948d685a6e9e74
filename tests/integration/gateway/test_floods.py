"""Sockets that nobody asked for cost their own network a place, and nobody else anything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode

from tests.integration.gateway_stand import Stand, open_client
from tests.patience import SOON_S

UPGRADE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: gridsignal.v1.json\r\n"
)
PLACES = 8


def frames(opcode: Opcode, count: int, *, fin: bool = True) -> bytes:
    return WireFrame(opcode, b"", fin=fin).serialize(mask=True) * count


PARTS = frames(Opcode.TEXT, 1, fin=False) + frames(Opcode.CONT, 5000, fin=False)
SENT: dict[str, bytes] = {
    "nothing": b"",
    "half a header": UPGRADE,
    "no HTTP": os.urandom(600),
    "a bad token": UPGRADE + b"Authorization: Bearer a.b.c\r\n\r\n",
    "no hello": UPGRADE + b"\r\n",
    "pings": UPGRADE + b"\r\n" + frames(Opcode.PING, 5000),
    "pongs": UPGRADE + b"\r\n" + frames(Opcode.PONG, 5000),
    "fragments": UPGRADE + b"\r\n" + PARTS,
    "messages": UPGRADE + b"\r\n" + frames(Opcode.TEXT, 5000),
}


async def knock(address: tuple[str, int], sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(sent)
    return reader, writer


async def is_dropped(reader: asyncio.StreamReader) -> None:
    """Returns once the gateway has let go of the socket."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(4096):
            pass


@asynccontextmanager
async def hostile(stand: Stand, sent: bytes, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    sockets = [await knock(stand.gateway.address, sent) for _ in range(count)]
    try:
        yield [reader for reader, _ in sockets]
    finally:
        for _, writer in sockets:
            writer.transport.abort()


def strangers(stand: Stand) -> float:
    return stand.gateway.gauges.registry.get_sample_value("gridsignal_gateway_strangers") or 0.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        for _ in iter(condition, True):
            await asyncio.sleep(0)


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
async def test_who_shows_no_token_takes_a_place_from_the_likes_of_it_alone(tmp_path: Path, sent: bytes) -> None:
    limits = {"strangers_of_a_network": PLACES, "header_timeout_s": 60.0, "hello_timeout_s": 60.0}
    async with (
        Stand.open(tmp_path, **limits) as stand,
        stand.client() as before,
        hostile(stand, sent, 5 * PLACES) as readers,
    ):
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(*(is_dropped(reader) for reader in readers[: 4 * PLACES]))
        assert strangers(stand) <= PLACES
        assert (await before.subscribe("prices"))["t"] == "subscribed"
        async with stand.client() as newcomer:
            assert (await newcomer.subscribe("prices"))["t"] == "subscribed"


@pytest.mark.parametrize("kind", ["pings", "pongs", "fragments", "messages"])
async def test_a_few_frames_before_the_hello_are_the_end(stand: Stand, kind: str) -> None:
    async with hostile(stand, SENT[kind], 1) as (reader,), asyncio.timeout(SOON_S):
        await is_dropped(reader)


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG])
async def test_control_frames_count_like_others(tmp_path: Path, opcode: Opcode) -> None:
    async with Stand.open(tmp_path, frames_per_s=0.001, frame_burst=20) as stand, stand.client() as client:
        for _ in range(50):
            client.websocket.transport.write(frames(opcode, 1))
        assert (await client.closed())[0] == 4029


async def test_a_message_in_a_thousand_parts_ends_the_connection(stand: Stand) -> None:
    async with stand.client() as client:
        await client.websocket.send(["{"] + [" "] * 1000)
        assert (await client.closed())[0] == 1009


async def test_a_message_in_some_parts_is_a_message(stand: Stand) -> None:
    async with stand.client() as client:
        await client.websocket.send(['{"t": "query",', *[" "] * 30, '"id": 77}'])
        assert (await client.until(lambda frame: frame.get("id") == 77))["t"] == "states"


async def test_a_flood_within_its_rights_lets_a_neighbour_pass(tmp_path: Path) -> None:
    """The neighbour's question is answered while most of the flood still waits; nothing of the flood is lost."""
    limits = {"frames_per_s": 1e6, "frame_burst": 1_000_000}
    async with (
        Stand.open(tmp_path, **limits) as stand,
        stand.client() as greedy,
        stand.client(token=stand.token("volt-colo"), site="muc-1") as modest,
    ):
        last = 20_000
        question = b'{"t": "unsubscribe", "sub": "x", "id": %d}'
        flood = [WireFrame(Opcode.TEXT, question % number).serialize(mask=True) for number in range(1, last + 1)]
        greedy.websocket.transport.write(b"".join(flood))
        await greedy.until(lambda frame: frame["id"] == 100)
        assert (await modest.ask("unsubscribe", sub="y"))["code"] == "unknown_subscription"
        pong = await greedy.websocket.ping()
        seen = max(frame["id"] for frame in greedy.unread)
        assert seen < last
        assert not pong.done()
        await greedy.until(lambda frame: frame["id"] == last)
        async with asyncio.timeout(SOON_S):
            await pong


# --- TLS ------------------------------------------------------------------------------------------------------------


def certificate(directory: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = directory / "door.pem", directory / "door.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, secret


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_tls_handshake_takes_a_place_too(tmp_path: Path, sent: bytes) -> None:
    pem, secret = certificate(tmp_path)
    limits = {"tls_certificate": pem, "tls_key": secret, "strangers_of_a_network": PLACES, "tls_timeout_s": 60.0}
    async with Stand.open(tmp_path, **limits) as stand:
        host, port = stand.gateway.address
        url, trusted = f"wss://{host}:{port}/v1/stream", ssl.create_default_context(cafile=pem)
        async with hostile(stand, sent, 5 * PLACES) as readers:
            async with asyncio.timeout(SOON_S):
                await asyncio.gather(*(is_dropped(reader) for reader in readers[: 4 * PLACES]))
            assert strangers(stand) <= PLACES
            async with open_client(url, stand.token(), ssl=trusted, server_hostname="localhost") as newcomer:
                assert (await newcomer.hello(site="fra-1"))["t"] == "welcome"
                assert (await newcomer.subscribe("prices"))["t"] == "subscribed"


async def test_a_tls_handshake_that_never_comes_is_dropped(tmp_path: Path) -> None:
    pem, secret = certificate(tmp_path)
    async with (
        Stand.open(tmp_path, tls_certificate=pem, tls_key=secret, tls_timeout_s=0.1) as stand,
        hostile(stand, b"", 1) as (reader,),
        asyncio.timeout(SOON_S),
    ):
        await is_dropped(reader)


# --- places ---------------------------------------------------------------------------------------------------------


async def test_strangers_take_no_place_of_those_with_a_token(tmp_path: Path) -> None:
    limits = {"max_connections": 2, "strangers_of_a_network": PLACES, "header_timeout_s": 60.0}
    async with (
        Stand.open(tmp_path, **limits) as stand,
        hostile(stand, b"", 3 * PLACES),
        stand.client(),
        stand.client() as second,
    ):
        assert (await second.subscribe("prices"))["t"] == "subscribed"


async def test_connections_that_say_no_hello_are_connections_of_their_organisation(tmp_path: Path) -> None:
    async with (
        Stand.open(tmp_path, organisation_connections=2, hello_timeout_s=60.0) as stand,
        stand.client(hello=False),
        stand.client(hello=False),
        stand.client(hello=False) as third,
    ):
        await third.send({"t": "hello", "client": "tests/1"})
        assert (await third.closed())[0] == 4029


async def test_without_a_free_descriptor_a_stranger_makes_room(tmp_path: Path) -> None:
    async with Stand.open(tmp_path, header_timeout_s=60.0) as stand, stand.client() as before:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        async with hostile(stand, b"", 30) as readers:
            await until(lambda: strangers(stand) >= 30)
            held: list[socket.socket] = []
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 8, hard))
            try:
                with contextlib.suppress(OSError):
                    while True:
                        held.append(socket.socket())
                held.pop().close()  # for the newcomer's own end; the gateway has none left for its
                async with stand.client() as newcomer:
                    assert (await newcomer.subscribe("prices"))["t"] == "subscribed"
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for each in held:
                    each.close()
            async with asyncio.timeout(SOON_S):
                await is_dropped(readers[0])
            assert (await before.subscribe("prices"))["t"] == "subscribed"
