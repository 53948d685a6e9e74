"""A long answer to a poll is read as slowly as its reader likes, as long as it is read; until then it is a poll."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gridsignal_protocol.server.closing import DRAIN
from tests.builders import a_grid_alert
from tests.integration.gateway.test_floods import certificate
from tests.integration.gateway.test_odd_requests import parsed
from tests.integration.gateway_stand import Stand
from tests.patience import SOON_S

MIB = 1024 * 1024
LONG = 700, "\U0001f600"
"""So many alerts of such letters come to more than 1.5 MiB."""
LIMITS = {"close_timeout_s": 0.3, "organisation_polls": 1}


def counted(stand: Stand, name: str) -> float | None:
    return stand.gateway.gauges.registry.get_sample_value(f"gridsignal_gateway_{name}")


async def until_so(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        for _ in iter(condition, True):
            await asyncio.sleep(0)


def asking(stand: Stand, query: str) -> bytes:
    return f"GET /v1/poll?{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stand.token()}\r\n\r\n".encode()


@asynccontextmanager
async def unread(
    stand: Stand, trusted: Path | None, alerts: int = 1200, letter: str = "x"
) -> AsyncIterator[asyncio.StreamReader]:
    """A poll, of about 1 MiB or more, whose answer has begun to come, over a socket that takes little at once."""
    await stand.publish(*(a_grid_alert(alert_id=f"a-{number}", text=letter * 512) for number in range(alerts)))
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, stand.gateway.address)
    secure = (
        {} if trusted is None else {"ssl": ssl.create_default_context(cafile=trusted), "server_hostname": "localhost"}
    )
    reader, writer = await asyncio.open_connection(sock=narrow, limit=4096, **secure)
    try:
        writer.write(asking(stand, "stream=alerts&snapshot=true"))
        connections = stand.gateway._conversations.connections
        await until_so(lambda: any(each.unsent_bytes > 0 for each in connections))
        yield reader
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("secure", [False, True])
async def test_who_reads_slowly_gets_all_of_it_and_counts_until_then(tmp_path: Path, secure: bool) -> None:
    pem, secret = certificate(tmp_path) if secure else (None, None)
    async with (
        Stand.open(tmp_path, tls_certificate=pem, tls_key=secret, **LIMITS) as stand,
        unread(stand, pem) as reader,
    ):
        begun_s = stand.gateway._conversations.lived.now_s
        await until_so(lambda: stand.gateway._conversations.lived.now_s > begun_s + 5 * LIMITS["close_timeout_s"])
        assert (counted(stand, "polls"), counted(stand, "subscriptions")) == (1, 0)
        async with asyncio.timeout(SOON_S):
            got = await reader.read(-1)
        frames = json.loads(parsed("GET", got)[1])["frames"]
        assert sum(frame["t"] == "signal" for frame in frames) == 1200
        await until_so(lambda: counted(stand, "polls") == 0)


async def test_little_by_little_is_progress_though_the_kernel_holds_the_rest(tmp_path: Path) -> None:
    """What waits in the gateway seldom moves meanwhile: the peer takes from what was handed to the kernel."""
    async with Stand.open(tmp_path, stall_s=0.5, **LIMITS) as stand, unread(stand, None) as reader:
        got = b""
        for _ in range(12):
            then_s = stand.gateway._conversations.lived.now_s
            await until_so(lambda then_s=then_s: stand.gateway._conversations.lived.now_s > then_s)
            got += await reader.readexactly(8192)
        async with asyncio.timeout(SOON_S):
            got += await reader.read(-1)
        frames = json.loads(parsed("GET", got)[1])["frames"]
        assert sum(frame["t"] == "signal" for frame in frames) == 1200


@pytest.mark.parametrize("secure", [False, True])
async def test_of_a_longer_one_no_more_waits_here_and_its_reader_gets_all_of_it(tmp_path: Path, secure: bool) -> None:
    pem, secret = certificate(tmp_path) if secure else (None, None)
    async with (
        Stand.open(tmp_path, tls_certificate=pem, tls_key=secret, **LIMITS) as stand,
        unread(stand, pem, *LONG) as reader,
    ):
        (connection,) = stand.gateway._conversations.connections
        most, got = 0, b""
        async with asyncio.timeout(SOON_S):
            while piece := await reader.read(65_536):
                got += piece
                most = max(most, connection.unsent_bytes)
        answer, body, _ = parsed("GET", got)
        said = json.loads(body)
        assert (answer.status_code, len(got) > 1.5 * MIB) == (200, True)
        assert 0 < most < 1.25 * MIB
        shown = [frame["body"]["alert_id"] for frame in said["frames"] if frame["t"] == "signal"]
        assert sorted(shown) == sorted(f"a-{number}" for number in range(LONG[0]))
        assert said["cursor"] == said["frames"][-1]["cursor"]
        await until_so(lambda: counted(stand, "polls") == 0)


@pytest.mark.parametrize("fault", [False, True])
async def test_a_longer_one_that_is_ended_midway_is_no_json(tmp_path: Path, fault: bool) -> None:
    async with Stand.open(tmp_path, **LIMITS) as stand, unread(stand, None, *LONG) as reader:
        (connection,) = stand.gateway._conversations.connections
        if fault:
            connection.fail()
        else:
            connection.close(DRAIN)
        async with asyncio.timeout(SOON_S):
            got = await reader.read(-1)
        assert got.startswith(b"HTTP/1.1 200 ")
        assert b'"t":"signal"' in got
        assert b'"cursor"' not in got
        with pytest.raises(json.JSONDecodeError):
            json.loads(got.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("what", [(1200, "x"), LONG])
async def test_who_reads_nothing_of_it_is_dropped(tmp_path: Path, what: tuple[int, str]) -> None:
    async with Stand.open(tmp_path, stall_s=0.5, **LIMITS) as stand, unread(stand, None, *what):
        assert counted(stand, "polls") == 1
        await until_so(lambda: counted(stand, "polls") == 0)


@pytest.mark.parametrize("ended", ["by the gateway", "by the caller"])
async def test_each_answer_can_be_gone_on_from(tmp_path: Path, ended: str) -> None:
    """A poll that ends before it has a cursor is refused, with none of its snapshot; who still listens gets one."""
    async with Stand.open(tmp_path) as stand:
        await stand.publish(*(a_grid_alert(alert_id=f"a-{number}") for number in range(400)))
        reader, writer = await asyncio.open_connection(*stand.gateway.address)
        writer.write(asking(stand, "stream=alerts&snapshot=true"))
        if ended == "by the caller":
            writer.write_eof()
        await until_so(lambda: counted(stand, "polls") == 1)
        (connection,) = stand.gateway._conversations.connections
        if ended == "by the gateway":
            connection.close(DRAIN)
        try:
            async with asyncio.timeout(SOON_S):
                got = await reader.read(-1)
        finally:
            writer.transport.abort()
        answer, body, _ = parsed("GET", got)
        said = json.loads(body)
        if ended == "by the gateway":
            assert (answer.status_code, said["retriable"], "frames" in said) == (503, True, False)
        else:
            assert (answer.status_code, len(said["frames"]), said["cursor"] != "") == (200, 403, True)


async def test_a_socket_that_was_reset_unseen_is_let_go_of_without_a_word(
    stand: Stand, capfd: pytest.CaptureFixture[str]
) -> None:
    """No read has told of the reset yet when the gateway ends the conversation: there is nothing to shut down."""
    with socket.create_connection(stand.gateway.address) as caller:
        caller.sendall(asking(stand, "stream=alerts&wait_s=60"))
        await until_so(lambda: counted(stand, "subscriptions") == 1)
        (connection,) = stand.gateway._conversations.connections
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.finish()
    await stand.gateway._conversations.gone(SOON_S)
    assert not stand.gateway._conversations.connections
    assert counted(stand, "polls") == 0
    assert "Traceback" not in capfd.readouterr().err
