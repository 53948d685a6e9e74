"""The console's files and its sign-in, as a browser and as somebody with bad intentions asks for them."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import FastAPI

from gridsignal_services.console.pages import SERVED, Console
from gridsignal_services.embedded import Stack
from gridsignal_services.rest.callers import add_problems
from gridsignal_services.settings import ServerSettings
from gridsignal_services.telemetry import logger
from tests.patience import SOON_S


async def test_every_file_has_a_policy_that_lets_nothing_else_in(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.api_url, timeout=SOON_S) as anybody:
        for name in ("", *(f"/{name}" for name in SERVED)):
            answer = await anybody.get(f"/console{name}")
            rules = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
            assert answer.status_code == 200
            assert (rules["default-src"], rules["script-src"], rules["frame-ancestors"]) == (
                "'none'",
                "'self'",
                "'none'",
            )
            assert rules["connect-src"] == f"'self' {stack.gateway_url} {stack.feeds_url}"
            assert answer.headers["x-content-type-options"] == "nosniff"
            again = await anybody.get(f"/console{name}", headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        assert (await anybody.get("/console/", follow_redirects=True)).content == (
            await anybody.get("/console")
        ).content
        assert (await anybody.get("/console/sources.sha256")).status_code == 404
        assert (await anybody.get("/console/..%2fpages.py")).status_code == 404
        unpacked = await anybody.get("/console/console.js", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in unpacked.headers


async def test_a_link_signs_in_once_and_only_its_code_does(stack: Stack) -> None:
    code = stack.console_link("operator", "tso-north").rpartition("#once=")[2]
    async with httpx2.AsyncClient(base_url=stack.api_url, timeout=SOON_S) as anybody:
        taken = await anybody.post("/console/sign-in", json={"code": code})
        assert (taken.status_code, taken.headers["cache-control"]) == (200, "no-store")
        me = await anybody.get("/v1/me", headers={"Authorization": f"Bearer {taken.json()['token']}"})
        assert (me.json()["role"], me.json()["organisation"]) == ("operator", "tso-north")
        assert me.json()["zones"][0] == {"zone": "DE-LU", "timezone": "Europe/Berlin", "currency": "EUR"}
        assert (await anybody.post("/console/sign-in", json={"code": code})).status_code == 401
        assert (await anybody.post("/console/sign-in", json={"code": "x"})).status_code == 401
        assert (await anybody.post("/console/sign-in", content=b"{}")).status_code == 415
        assert (await anybody.post("/console/sign-in", json={"kode": code})).status_code == 400
        assert (await anybody.post("/console/sign-in", json={"code": "x" * 2000})).status_code == 413


async def test_a_door_that_was_told_of_no_gateway_says_so() -> None:
    app = FastAPI()
    Console(ServerSettings(), lambda: 0.0).add_to(app)
    add_problems(app, logger("tests"))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://door") as anybody:
        answer = await anybody.get("/console")
    assert answer.status_code == 404
    assert "GRIDSIGNAL_CONSOLE_GATEWAY" in answer.json()["detail"]


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null"])
async def test_a_page_from_elsewhere_does_not_reach_the_gateway(stack: Stack, origin: str) -> None:
    url = stack.gateway_url.replace("ws:", "http:")
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Origin": origin}
    headers |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "gridsignal.v1.json"}
    async with httpx2.AsyncClient(timeout=SOON_S) as anybody:
        assert (await anybody.get(f"{url}/v1/stream", headers=headers)).status_code == 403


@pytest.mark.parametrize(("origin", "may"), [("own", True), ("http://elsewhere.example", False), ("null", False)])
async def test_its_page_and_no_other_asks_the_ingest_door(stack: Stack, origin: str, may: bool) -> None:
    origin = stack.api_url if origin == "own" else origin
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    headers |= {"Access-Control-Request-Headers": "authorization, content-type"}
    async with httpx2.AsyncClient(base_url=stack.feeds_url, timeout=SOON_S) as anybody:
        preflight = await anybody.options("/v1/signals/alerts", headers=headers)
        answer = await anybody.get("/v1/feeds", headers={"Origin": origin})
    assert preflight.is_success is may
    allowed = [each.headers.get("access-control-allow-origin") for each in (preflight, answer)]
    assert allowed == ([origin] * 2 if may else [None] * 2)
    assert "access-control-allow-credentials" not in answer.headers
