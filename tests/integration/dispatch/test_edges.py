"""What goes wrong between a caller and the door: lost answers, changed audiences, slow peers, a log that is away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gridsignal_services import embedded
from gridsignal_services.access import DISPATCH_WRITE
from gridsignal_services.bus import Appended, LogUnavailable
from gridsignal_services.bus.around import AroundLog
from gridsignal_services.bus.sqlite import SqliteLog
from gridsignal_services.clock import WallClock
from gridsignal_services.embedded import Stack
from gridsignal_services.registry import example_registry
from gridsignal_services.settings import ServerSettings
from tests.integration.dispatch.conftest import Caller
from tests.integration.dispatch.test_asking import ask
from tests.patience import SOON_S

CANARY = "canary-77aa"


async def test_a_key_that_asked_in_one_zone_asks_in_no_other(
    operator: httpx2.AsyncClient, body: dict[str, Any]
) -> None:
    await ask(operator, body)
    other = await ask(operator, body | {"zone": "FR"})
    assert (other.status_code, other.json()["errors"][0]["code"]) == (409, "CONFLICT")
    assert (await operator.get("/v1/requests", params={"zone": "FR"})).json()["requests"] == []


async def test_operators_with_the_same_key_ask_for_different_things(
    operator: httpx2.AsyncClient, caller: Caller, body: dict[str, Any]
) -> None:
    mine, theirs = await ask(operator, body), await ask(caller("operator", "supplier-one"), body)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.headers["Location"] != theirs.headers["Location"]


async def test_whoever_saw_an_earlier_revision_does_not_see_what_became_of_it(
    operator: httpx2.AsyncClient, caller: Caller, body: dict[str, Any]
) -> None:
    path = (await ask(operator, body)).headers["Location"]
    stranger = caller("participant", "volt-colo")
    assert (await stranger.get(path)).status_code == 200
    listed = body | {"visibility": "LISTED", "audience": ["acme-ai"], "text": CANARY}
    assert (await operator.put(path, json=listed, headers={"If-Match": '"1"'})).status_code == 200

    seen, page = await stranger.get(path), await stranger.get("/v1/requests")

    assert seen.status_code == 404
    assert CANARY not in seen.text + page.text
    assert CANARY in (await caller("participant", "acme-ai").get(path)).text


async def test_an_amendment_whose_answer_was_lost_can_be_sent_again(
    operator: httpx2.AsyncClient, body: dict[str, Any]
) -> None:
    path = (await ask(operator, body)).headers["Location"]
    changed, match = body | {"power_w": 10_000_000}, {"If-Match": '"1"'}
    first, again = (
        await operator.put(path, json=changed, headers=match),
        await operator.put(path, json=changed, headers=match),
    )
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()


@pytest.mark.parametrize(("match", "status"), [(None, 428), ('"2"', 412), ('"x"', 400), ("*", 400), ('"-1"', 400)])
async def test_an_amendment_names_the_revision_it_was_written_for(
    operator: httpx2.AsyncClient, body: dict[str, Any], match: str | None, status: int
) -> None:
    path = (await ask(operator, body)).headers["Location"]
    answer = await operator.put(path, json=body, headers={} if match is None else {"If-Match": match})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, "If-Match")


async def test_a_request_stays_in_its_zone(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    path = (await ask(operator, body)).headers["Location"]
    answer = await operator.put(path, json=body | {"zone": "FR"}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/zone")


async def test_pages_hold_everything_once(operator: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    asked = {(await ask(operator, body, f"k{n}")).json()["request"]["request_id"] for n in range(5)}
    seen: list[str] = []
    following: str | None = None
    while True:
        after = {} if following is None else {"after": following}
        page = (await operator.get("/v1/requests", params={"limit": "2"} | after)).json()
        seen += [view["request"]["request_id"] for view in page["requests"]]
        following = page["next"]
        if following is None:
            break
    assert (len(seen), set(seen)) == (5, asked)


@pytest.mark.parametrize(
    "query", ["zoen=FR", "after=never-seen", "limit=0", "limit=x", "limit=1&limit=2", "state=OPENED"]
)
async def test_a_query_with_a_mistake_is_refused_not_widened(operator: httpx2.AsyncClient, query: str) -> None:
    answer = await operator.get(f"/v1/requests?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"?{query.split('=')[0]}")


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "2200-01-01T00:00:00Z"])
@pytest.mark.parametrize("field", ["starts_at", "ends_at", "gate_closure_at", "decision_deadline"])
async def test_times_at_the_ends_of_the_calendar_are_refused(
    operator: httpx2.AsyncClient, body: dict[str, Any], field: str, when: str
) -> None:
    answer = await ask(operator, body | {field: when})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{field}")


async def test_a_token_that_may_not_read_does_not_write_either(stack: Stack, body: dict[str, Any]) -> None:
    token = stack.issuer.mint("operator", "tso-north", "x", [DISPATCH_WRITE], 60, datetime.now(UTC))
    before = await stack.log.end_positions("dispatch")
    async with httpx2.AsyncClient(
        base_url=stack.api_url, headers={"Authorization": f"Bearer {token}"}, timeout=SOON_S
    ) as http:
        answer = await ask(http, body)
    assert (answer.status_code, 'scope="signal:read"' in answer.headers["WWW-Authenticate"]) == (403, True)
    assert await stack.log.end_positions("dispatch") == before


async def test_no_answer_repeats_a_token(stack: Stack) -> None:
    for header in (f"Bearer {CANARY}", f"Bearer {CANARY}.{CANARY}.{CANARY}", f"Basic {CANARY}"):
        async with httpx2.AsyncClient(
            base_url=stack.api_url, headers={"Authorization": header}, timeout=SOON_S
        ) as http:
            answer = await http.get("/v1/requests")
        assert answer.status_code == 401
        assert CANARY not in f"{answer.text}{dict(answer.headers)}"


async def test_other_paths_and_methods_are_problems_too(operator: httpx2.AsyncClient) -> None:
    for method, path, status in (("GET", "/v2", 404), ("DELETE", "/v1/requests", 405), ("GET", "/v1/orders/x", 404)):
        answer = await operator.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_health_and_the_description_need_no_token(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.api_url, timeout=SOON_S) as http:
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).text == "ready\n"
        described = (await http.get("/openapi.json")).json()
    bodies = [
        operation["requestBody"]["content"]["application/json"]
        for path in described["paths"].values()
        for operation in path.values()
        if "requestBody" in operation
    ]
    assert len(bodies) == 11
    assert all("example" in content for content in bodies)
    answers = [
        (path, operation["responses"][status]["content"]["application/json"])
        for path, operations in described["paths"].items()
        for operation in operations.values()
        for status in operation["responses"]
        if status.startswith("2")
    ]
    assert len(answers) == 39
    assert [path for path, content in answers if "example" not in content] == []


async def test_the_documentation_needs_nothing_from_elsewhere(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.api_url, timeout=SOON_S) as http:
        page = await http.get("/docs")
        loaded = re.findall(r"""(?:src|href)="([^"]+)|url: '([^']+)""", page.text)
        paths = ["".join(path) for path in loaded]
        assert len(paths) >= 4  # a script, a style sheet, an icon, the description
        for path in paths:
            assert path.startswith("/"), f"{path} lies elsewhere"
            assert (await http.get(path)).status_code == 200
    assert page.status_code == 200
    assert re.findall(r"https?://[a-z.]+", page.text) == []
    assert '"validatorUrl": null' in page.text


async def _raw(stack: Stack, sent: bytes) -> bytes:
    """Everything the door answers to these bytes until it hangs up."""
    host, port = stack.dispatch.address
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(sent)
        async with asyncio.timeout(SOON_S):
            return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_body_without_a_length_is_bounded_all_the_same(stack: Stack) -> None:
    token = stack.token("operator", "tso-north")
    head = (
        f"POST /v1/requests HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: k\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    assert (await _raw(stack, head.encode() + chunk * 5)).startswith(b"HTTP/1.1 413 ")


async def test_a_body_is_not_read_before_it_is_known_who_sends_it(stack: Stack) -> None:
    head = b"POST /v1/requests HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n"
    assert (await _raw(stack, head + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 401 ")


class Flaky(AroundLog):
    """A log whose writer can be away; reading goes on."""

    away = False

    async def append(
        self, stream: str, key: str, value: bytes, headers: Mapping[str, str], *, partition: int | None = None
    ) -> Appended:
        if self.away:
            raise LogUnavailable("the log is away")
        return await super().append(stream, key, value, headers, partition=partition)


@pytest.fixture
async def flaky(tmp_path: Path) -> AsyncIterator[tuple[Flaky, httpx2.AsyncClient]]:
    log = Flaky(await SqliteLog.open(tmp_path))
    settings = ServerSettings(directory=tmp_path, gateway_port=0, dispatch_port=0, ingest_port=0)
    starting = embedded.running(log, tmp_path, registry=example_registry(), clock=WallClock(), settings=settings)
    try:
        async with starting as stack:
            headers = {"Authorization": f"Bearer {stack.token('operator', 'tso-north')}"}
            async with httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=SOON_S) as operator:
                yield log, operator
    finally:
        await log.aclose()


async def test_without_the_log_writes_are_refused_and_reads_go_on(
    flaky: tuple[Flaky, httpx2.AsyncClient], body: dict[str, Any]
) -> None:
    log, operator = flaky
    path = (await ask(operator, body, "before")).headers["Location"]
    log.away = True
    refused = await ask(operator, body, "during")
    read = await operator.get(path)
    log.away = False
    again = await ask(operator, body, "during")

    assert (refused.status_code, refused.headers["Retry-After"], refused.json()["retriable"]) == (503, "1", True)
    assert json.loads(refused.text)["type"] == "urn:gridsignal:problem:unavailable"
    assert (read.status_code, again.status_code) == (200, 201)
