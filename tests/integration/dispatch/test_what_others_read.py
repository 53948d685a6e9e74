"""Of a request that is another's one reads what its times and one's own orders tell, and the commands say so."""

from __future__ import annotations

from typing import Any

import pytest

from gridsignal_services.embedded import Stack
from tests.integration.dispatch.conftest import Caller
from tests.integration.typed import typing_at


@pytest.mark.parametrize(("offered", "state"), [("12MW", "AWARDED"), ("8MW", "PARTIALLY_AWARDED")])
async def test_ones_own_orders_say_where_a_request_stands(
    stack: Stack,
    caller: Caller,
    body: dict[str, Any],
    offered: str,
    state: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    operator, mine, other = (
        caller("operator", "tso-north"),
        caller("participant", "acme-ai"),
        caller("participant", "volt-colo"),
    )
    asked = await operator.post("/v1/requests", json=body, headers={"Idempotency-Key": "k"})
    path, name = asked.headers["Location"], asked.json()["request"]["request_id"]
    token = stack.token("participant", "acme-ai")
    typed = typing_at({"url": stack.gateway_url, "api": stack.api_url, "token": token}, monkeypatch, capsys)

    async def read() -> list[tuple[str, list[str]]]:
        views = [(await http.get(path)).json() for http in (operator, mine, other)]
        assert [view["offers"] for view in views[1:]] == [0, 0]
        return [(view["state"], view["orders"]) for view in views]

    assert await read() == [("OPEN", [])] * 3
    assert (await typed("offer", "create", name, "--power", offered, "--price", "80")).code == 0
    book = (await operator.post(f"{path}/clear", json={})).json()
    (order_id,) = (offer["order_id"] for offer in book["offers"])
    assert await read() == [(state, [order_id]), (state, [order_id]), ("CLEARING", [])]
    for http, told in ((mine, [name]), (other, [])):
        found = (await http.get("/v1/requests", params={"state": state.lower()})).json()["requests"]
        assert [view["request"]["request_id"] for view in found] == told
    assert (await other.get("/v1/requests", params={"state": "OVER"})).json()["requests"] == []
    left = await typed("request", "book", name)
    assert (left.code, left.out) == (1, "")
    assert left.err.startswith(f"gridsignal: the book of request {name} is for tso-north, who asked, alone; ")
    assert "or you may not see it" in (await typed("request", "book", "nobodys")).err
    await typed("respond", "refuse", order_id)
    assert (await read())[1:] == [("CLEARING", [])] * 2
