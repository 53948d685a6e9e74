"""The HTTP server under the doors: prompt callers are answered, others are hung up on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from gridsignal_services.bus.codec import Codec
from gridsignal_services.clock import steady_s
from gridsignal_services.rest.asgi import HttpServer, add_pages, application
from gridsignal_services.rest.callers import add_problems
from gridsignal_services.rest.connection import Connection
from gridsignal_services.rest.limits import RestLimits
from gridsignal_services.settings import ServerSettings
from gridsignal_services.telemetry import Health, logger
from gridsignal_services.testing import ManualClock, seconds_of
from tests.builders import a_dispatch_request
from tests.patience import SOON_S

GET = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[HttpServer]:
    """It waits for what a caller wants for so long as a test says, or longer than a busy machine takes."""
    app = FastAPI()
    add_pages(app, Health("reading the log"))
    served = HttpServer(app, ServerSettings(), 0, header_s=getattr(request, "param", SOON_S))
    served.listen()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(served.serve())
        yield served
        served.stop()


@contextlib.asynccontextmanager
async def connected(server: HttpServer) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*server.address)
    try:
        async with asyncio.timeout(SOON_S):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def hung_up(reader: asyncio.StreamReader) -> bool:
    """Whether nothing comes but the end; what was sent to who had hung up already is answered by a reset."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


HASTY = pytest.mark.parametrize("server", [0.2], ids=["hasty"], indirect=True)


@HASTY
@pytest.mark.parametrize("sent", [b"", b"GET /readyz HTTP/1.1\r\nHost:"])
async def test_who_does_not_say_what_they_want_is_hung_up_on(server: HttpServer, sent: bytes) -> None:
    async with connected(server) as (reader, writer):
        writer.write(sent)
        assert await hung_up(reader)


@pytest.mark.parametrize("server", [2.0], ids=["with room for the first"], indirect=True)
async def test_a_second_request_that_drips_is_hung_up_on(server: HttpServer) -> None:
    async with connected(server) as (reader, writer):
        writer.write(GET)
        assert (await reader.readuntil(b"not ready\n")).startswith(b"HTTP/1.1 503 ")
        writer.write(b"GET /")
        assert await hung_up(reader)


async def test_a_connection_is_kept_between_prompt_requests(server: HttpServer) -> None:
    async with connected(server) as (reader, writer):
        for _ in range(3):
            writer.write(GET)
            assert (await reader.readuntil(b"not ready\n")).startswith(b"HTTP/1.1 503 ")


async def test_what_is_no_http_is_told_so(server: HttpServer) -> None:
    async with connected(server) as (reader, writer):
        writer.write(b"\x16\x03\x01\x00\xa5\x01\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")


# --- those who would keep the operators out ---------------------------------------------------------------------

LIMITS = RestLimits(strangers=20, strangers_of_a_network=10, network_requests_per_s=0.1, network_request_burst=30)
BIG = 256 * 65_536


@contextlib.asynccontextmanager
async def serving(limits: RestLimits, now_s: Callable[[], float] = steady_s) -> AsyncIterator[HttpServer]:
    """A door with a page for everybody, one for those with a token, and a long one."""
    app = FastAPI()

    @app.get("/page")
    async def page() -> str:
        return "page"

    @app.get("/v1/secret")
    async def secret(request: Request) -> str:
        if request.headers.get("authorization") == "Bearer good":
            request.state.connection.admit()
        return "secret"

    @app.get("/static-offline-docs/long")
    async def long() -> Response:
        chunks = (b"x" * 65_536 for _ in range(BIG // 65_536))  # as a file is sent
        return StreamingResponse(chunks, headers={"Content-Length": str(BIG)})

    served = HttpServer(app, ServerSettings(), 0, limits, now_s=now_s)
    served.listen()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(served.serve())
        yield served
        served.stop()


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *headers, "", "")).encode()


async def status(reader: asyncio.StreamReader) -> int:
    """The status of the next answer, whose body is read."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
    return int(head.split()[1])


CHUNKED = b"POST /page HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
POST = b"POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n"
TOO_DEAR = {
    "chunks of a byte": CHUNKED + b"1\r\nx\r\n" * 65,
    "chunks of a byte after its answer": CHUNKED + b"1;odd=yes\r\nx\r\n" * 30_000,
    "empty lines of a header": b"GET /page HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * 14_000 + b"\r\n",
    "more lines than anybody has": b"GET /page HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 128 + b"\r\n",
    "lines without an end": b"GET /page HTTP/1.1\n" + b"a:\n" * 129,
    "one line": b"GET /page HTTP/1.1\r\nHost: x\r\na: " + b"b" * 32_768 + b"\r\n\r\n",
}
"""What costs more than its bytes."""
WORTH_IT = {
    "a few lines": b"GET /page HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 126 + b"\r\n",
    "a long token": b"GET /page HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"b" * 8192 + b"\r\n\r\n",
    "a body": POST + b"x" * 30_000,
    "a body in pieces": CHUNKED + b"100\r\n" + b"x" * 256 + b"\r\n" + b"0\r\n\r\n",
    "requests one behind the other": get("/page") * 400,
}


@pytest.mark.parametrize("sent", TOO_DEAR.values(), ids=TOO_DEAR)
async def test_what_costs_more_than_its_bytes_is_not_read_on(sent: bytes) -> None:
    async with serving(RestLimits()) as served, connected(served) as (reader, writer):
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            answered = await reader.read()
            assert answered == b"" or answered.split(b" ")[1] in (b"400", b"405")


@pytest.mark.parametrize("sent", WORTH_IT.values(), ids=WORTH_IT)
async def test_what_costs_by_its_bytes_is_answered(sent: bytes) -> None:
    async with serving(RestLimits()) as served, connected(served) as (reader, writer):
        writer.write(sent)
        for _ in range(sent.count(b" HTTP/1.1")):
            assert await status(reader) in (405, 200)
        writer.write(get("/page"))
        assert await status(reader) == 200


SPOKEN = [b"G", get("/page"), get("/v1/secret", "Authorization: Bearer good"), CHUNKED, *TOO_DEAR.values()]


@pytest.mark.parametrize("sent", SPOKEN)
async def test_a_connection_that_has_ended_is_let_go_of_without_a_collection(sent: bytes) -> None:
    gc.collect()
    gc.disable()
    try:
        async with serving(RestLimits()) as served:
            before = set(map(id, living()))
            async with connected(served) as (_, writer):
                writer.write(sent)
                await until(lambda: bool(set(map(id, living())) - before))
                ended = [weakref.ref(each) for each in living() if id(each) not in before]
            async with asyncio.timeout(SOON_S):
                await until(lambda: not any(each() for each in ended))
    finally:
        gc.enable()


def living() -> list[Connection]:
    return [each for each in gc.get_objects() if isinstance(each, Connection)]


async def test_the_oldest_stranger_goes_and_who_shows_a_token_stays() -> None:
    async with serving(LIMITS) as served, contextlib.AsyncExitStack() as stack:
        reader, writer = await stack.enter_async_context(connected(served))
        writer.write(get("/v1/secret", "Authorization: Bearer good"))
        assert await status(reader) == 200
        strangers = [
            await stack.enter_async_context(connected(served)) for _ in range(LIMITS.strangers_of_a_network + 1)
        ]
        assert await strangers[0][0].read() == b""
        writer.write(get("/v1/secret"))
        assert await status(reader) == 200
        newest_reader, newest = strangers[-1]
        newest.write(get("/page"))
        assert await status(newest_reader) == 200


async def test_who_asks_too_much_without_a_token_is_turned_away_and_neighbours_with_one_are_not() -> None:
    async with serving(LIMITS) as served, contextlib.AsyncExitStack() as stack:
        for _ in range(4):
            _, flooding = await stack.enter_async_context(connected(served))
            flooding.write(get("/page") * 10)
        reader, writer = await stack.enter_async_context(connected(served))
        async with asyncio.timeout(SOON_S):
            while True:
                writer.write(get("/page"))
                if await status(reader) == 429:
                    break
        assert await reader.read() == b""
        known_reader, known = await stack.enter_async_context(connected(served))
        known.write(get("/v1/secret", "Authorization: Bearer good"))
        assert await status(known_reader) == 200
        known.write(get("/page"))
        assert await status(known_reader) == 200


@pytest.mark.parametrize(("path", "answers"), [("/page", [429]), ("/v1/secret", [200, 429])])
async def test_a_bad_token_is_looked_at_once_on_a_connection_of_a_network_that_floods(
    path: str, answers: list[int]
) -> None:
    async with serving(LIMITS) as served, contextlib.AsyncExitStack() as stack:
        reader, writer = await stack.enter_async_context(connected(served))
        for _ in range(LIMITS.network_request_burst + 1):
            writer.write(get("/page"))
            await status(reader)
        reader, writer = await stack.enter_async_context(connected(served))
        asked = get(path, "Authorization: Bearer junk")
        writer.write(asked * len(answers))
        assert [await status(reader) for _ in answers] == answers
        assert await reader.read() == b""


async def test_a_network_that_flooded_is_answered_again_when_its_time_is_over_and_not_before() -> None:
    clock = ManualClock(datetime(2024, 5, 12, 12, tzinfo=UTC))
    told = []
    async with serving(LIMITS, seconds_of(clock)) as served:
        async with connected(served) as (reader, writer):
            for _ in range(LIMITS.network_request_burst + 1):
                writer.write(get("/page"))
                await status(reader)
        for wait_ms in (0, 19_999, 1):  # one is owed, and one is asked for: two, of one in ten seconds
            clock.move_to(clock.now() + timedelta(milliseconds=wait_ms))
            async with connected(served) as (reader, writer):
                writer.write(get("/page"))
                told.append(await status(reader))
    assert told == [429, 429, 200]


async def test_who_does_not_read_an_answer_is_hung_up_on() -> None:
    async with serving(RestLimits(send_timeout_s=0.2)) as served, connected(served) as (reader, writer):
        writer.write(get("/static-offline-docs/long"))
        received = 0
        with contextlib.suppress(ConnectionError):
            await until(lambda: served.connections == 1)
            await until(lambda: served.connections == 0)
            while chunk := await reader.read(65536):
                received += len(chunk)
        assert received < BIG


async def until(holds: Callable[[], bool]) -> None:
    """Returns once it holds."""
    while not holds():  # noqa: ASYNC110 - the end of a socket is no event here
        await asyncio.sleep(0)


async def test_files_of_the_documentation_are_a_few_at_a_time() -> None:
    async with serving(RestLimits(files_at_once=1)) as served, contextlib.AsyncExitStack() as stack:
        _, first = await stack.enter_async_context(connected(served))
        first.write(get("/static-offline-docs/long"))
        codes = set()
        async with asyncio.timeout(SOON_S):
            while 503 not in codes:
                reader, writer = await stack.enter_async_context(connected(served))
                writer.write(get("/static-offline-docs/long"))
                codes.add(await status(reader))
        writer.close()


async def test_a_websocket_is_told_where_to_go() -> None:
    async with serving(RestLimits()) as served, connected(served) as (reader, writer):
        writer.write(get("/v1/stream", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"))
        told = (await reader.readuntil(b"}")).decode()
        assert told.startswith("HTTP/1.1 400 ")
        assert "gateway" in told


async def test_head_is_answered_as_get_without_a_body_and_another_method_is_told_what_there_is() -> None:
    app = application(title="x", version="1")
    add_pages(app, Health("reading the log"))
    add_problems(app, logger("test"))
    served = HttpServer(app, ServerSettings(), 0)
    served.listen()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(served.serve())
        async with connected(served) as (reader, writer):
            answers = []
            for method in ("GET", "HEAD", "OPTIONS", "BREW"):
                writer.write(f"{method} /healthz HTTP/1.1\r\nHost: x\r\nConnection: ".encode())
                writer.write(b"close\r\n\r\n" if method == "BREW" else b"keep-alive\r\n\r\n")
                answers.append(await reader.readuntil(b"\r\n\r\n"))
                body = b"ok\n" if method == "GET" else b"" if method == "HEAD" else b"}"
                told = await reader.readuntil(body) if body else b""
                assert method not in ("OPTIONS", "BREW") or f"expected GET, HEAD, got {method}".encode() in told
            assert [answer.split(b" ")[1] for answer in answers] == [b"200", b"200", b"405", b"405"]
            assert all(b"content-length: 3\r\n" in answer for answer in answers[:2])
            assert all(b"allow: GET, HEAD\r\n" in answer.replace(b"Allow", b"allow") for answer in answers[2:])
        served.stop()


async def test_a_record_that_no_log_takes_is_the_callers_fault_and_says_what_is_wrong() -> None:
    app = FastAPI()
    add_problems(app, logger("test"))

    @app.post("/{power_w}")
    async def write(power_w: int) -> None:
        Codec.from_lock().encode(a_dispatch_request().model_copy(update={"power_w": power_w}))

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://door") as client:
        taken, refused = await client.post("/12"), await client.post("/-12")
    assert (taken.status_code, refused.status_code) == (200, 422)
    (fault,) = refused.json()["errors"]
    assert fault["code"] == "INVALID_VALUE"
    assert fault["message"].startswith("expected a valid DispatchRequest, got power_w: ")
