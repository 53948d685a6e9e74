"""Stories of messages.md about who is told what: figures of one kind, the slow and the quick, the neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import gridsignal
from gridsignal_schemas.messages import CarbonIntensity, DispatchOrder, DispatchRequest, GridAlert, Record
from gridsignal_schemas.messages.signals import CarbonStatus
from gridsignal_services.bus.publish import publish
from tests.builders import a_carbon_intensity, a_grid_alert, a_spot_price, utc
from tests.integration.gateway_stand import Client, open_client
from tests.integration.pipe import Pipe
from tests.patience import SOON_S

MW = 1_000_000
EVENING = {"zone": "DE-LU", "from": "2024-05-12T18:00:00Z", "to": "2024-05-12T19:00:00Z"}
Sites = tuple[gridsignal.Grid, gridsignal.Grid]


async def told(world: Any, records: Iterable[Record]) -> None:
    """The records are on the log, in this order."""
    for record in records:
        await publish(world.stack.log, world.stack.codec, record, principal="service:tests", source="tests")


# --- scenario 10 -------------------------------------------------------------------------------------------------


def a_forecast(issued: str, grams: str, **changes: Any) -> CarbonIntensity:
    """A marginal forecast of the hour from 18:00."""
    values = {"grams_per_kwh": [Decimal(grams)], "resolution_s": 3600, "starts_at": utc("18:00")}
    return a_carbon_intensity(
        **{"accounting": "MARGINAL", "status": "FORECAST", "issued_at": utc(issued)} | values | changes
    )


async def test_who_wants_marginal_figures_never_gets_average_ones(world: Any, sites: Sites) -> None:
    one, _ = sites
    heard = one.subscribe("carbon", zones=["DE-LU"], accounting=["MARGINAL"])
    await told(world, [a_carbon_intensity(), a_forecast("12:00", "500"), a_carbon_intensity(revision=2)])
    await told(world, [a_forecast("12:10", "510")])
    got = []
    async with asyncio.timeout(SOON_S):
        async for series in heard:
            got.append((series.accounting, series.grams_per_kwh))
            if series.grams_per_kwh == [510]:
                break
    assert got == [("MARGINAL", [500]), ("MARGINAL", [510])]


async def test_an_as_of_query_returns_the_forecast_known_then(world: Any) -> None:
    await world.reach(utc("12:00"))
    await told(world, [a_forecast("12:00", "500"), a_carbon_intensity()])
    await world.reach(utc("13:00"))
    await told(world, [a_forecast("13:00", "450")])
    await world.reach(utc("14:00"))
    await told(world, [a_forecast("11:30", "999")])  # an older vintage that came late
    await world.reach(utc("19:30"))
    await told(world, [a_forecast("19:30", "430", status=CarbonStatus.MEASURED, issued_at=None)])
    async with world.desk("acme-ai", "participant") as desk:
        answers = {}
        for moment in ("11:59:59", "12:30:00", "13:30:00", "14:30:00", "20:00:00"):
            answer = await desk.get("/v1/carbon", params=EVENING | {"as_of": f"2024-05-12T{moment}Z"})
            curves = {curve["accounting"]: curve["points"] for curve in answer.json()["curves"]}
            answers[moment] = [(point["grams_per_kwh"], point["status"]) for point in curves.get("MARGINAL", [])]
        latest = (await desk.get("/v1/carbon", params=EVENING)).json()
    assert answers == {
        "11:59:59": [],
        "12:30:00": [("500", "FORECAST")],
        "13:30:00": [("450", "FORECAST")],
        "14:30:00": [("450", "FORECAST")],
        "20:00:00": [("430", "MEASURED")],
    }
    assert [curve["accounting"] for curve in latest["curves"]] == ["MARGINAL", "AVERAGE"]


async def test_prices_too_are_told_as_they_were_known(world: Any) -> None:
    await told(world, [a_spot_price(status="PRELIMINARY", prices_per_mwh=[Decimal(1)] * 24, revision=1)])
    await world.reach(utc("13:00"))
    await told(world, [a_spot_price(status="FINAL", revision=2)])
    async with world.desk("acme-ai", "participant") as desk:
        before = (await desk.get("/v1/prices", params=EVENING | {"as_of": "2024-05-12T12:30:00Z"})).json()
        after = (await desk.get("/v1/prices", params=EVENING)).json()
    points = [answer["curves"][0]["points"][0] for answer in (before, after)]
    assert [(p["price_per_mwh"], p["status"]) for p in points] == [("1", "PRELIMINARY"), ("75.74", "FINAL")]


# --- scenario 12 -------------------------------------------------------------------------------------------------

CANARIES = {"canary-offer", "canary-meter", "canary-reason", "87.6543", "fra-1", "acme-ai"}


async def everything_heard(client: Client) -> str:
    """All that a connection was sent before a ping was answered."""
    return str(await client.round_trip())


async def test_a_neighbour_finds_no_trace_of_offers_orders_and_readings_on_any_transport(
    world: Any, sites: Sites, hearing: Any
) -> None:
    one, _ = sites
    request_id = await world.ask()
    url = f"{world.stack.gateway_url}/v1/stream"
    async with open_client(url, world.stack.token("participant", "volt-colo")) as neighbour:
        await neighbour.hello(site="muc-1")
        for stream in ("dispatch", "prices", "carbon", "alerts"):
            await neighbour.subscribe(stream, snapshot=True)
        order = await lived_through(world, one, hearing)
        secrets = CANARIES | {order.order_id}
        over_websocket = [
            await everything_heard(neighbour),
            str(await told_of(neighbour, offer_ids=["canary-offer"], order_ids=[order.order_id])),
            str(await refused_as(neighbour, order.order_id, request_id)),
        ]
        nothing = await told_of(neighbour, offer_ids=["nobodys"], order_ids=["nobodys"])
        mine = await told_of(neighbour, offer_ids=["canary-offer"], order_ids=[order.order_id])
        assert [list(mine[kind].values()) for kind in ("offers", "orders")] == [
            list(nothing[kind].values()) for kind in ("offers", "orders")
        ]
    asked = {"canary-offer", order.order_id}  # what somebody asked for may be named in the answer
    assert not [s for s in secrets - asked if any(s in text for text in over_websocket)]
    assert not [s for s in asked if s in over_websocket[0]]
    async with world.desk("volt-colo", "participant") as neighbour_, world.desk("supplier-one") as operator:
        # an operator may ask any site of its zones, and so sees which there are, but not whose
        for stranger, hidden in ((neighbour_, secrets), (operator, secrets - {"fra-1"})):
            await sees_nothing(stranger, hidden, order.order_id, request_id)
            seen = (await stranger.get(f"/v1/requests/{request_id}")).json()
            told = (seen["state"], seen["offers"], seen["orders"], seen["waits_for_clearing"])
            assert told == ("CLEARING", 0, [], False)  # though the order is ACTIVE and falls short
            for state in ("ACTIVE", "PARTIALLY_AWARDED", "AWARDED"):
                assert not (await stranger.get("/v1/requests", params={"state": state})).json()["requests"]


async def lived_through(world: Any, grid: gridsignal.Grid, hearing: Any) -> DispatchOrder:
    """An offer, its order, a derating and a reading: all of them full of canaries."""
    heard = grid.subscribe("dispatch", zones=["DE-LU"])
    await grid.offer(await hearing(heard, DispatchRequest), 10 * MW, "87.6543", offer_id="canary-offer")
    await world.reach(utc("17:00"))
    order: DispatchOrder = await hearing(heard, DispatchOrder)
    await grid.accept(order)
    quarter = order.starts_at + timedelta(minutes=15)
    await world.reach(quarter)
    await grid.report(order, "UNAVAILABLE", available_w=9 * MW, reason="canary-reason")
    await grid.meter(meter="canary-meter", starts_at=order.starts_at, ends_at=quarter, import_w=26 * MW, seq=1)
    return order


async def told_of(client: Client, **ids: list[str]) -> dict[str, Any]:
    return await client.ask("query", **ids)


async def refused_as(client: Client, order_id: str, request_id: str) -> list[dict[str, Any]]:
    """What a neighbour is told who answers somebody else's order, and one that does not exist: the same."""
    answers = []
    for ident in (order_id, "no-such-order"):
        body = {"request_id": request_id, "order_id": ident, "revision": 1, "response": "ACCEPTED", "actor": "me"}
        body |= {"reason_code": "", "reason": "", "at": "2024-05-12T18:15:00Z"}
        answer = await client.ask("respond", response_id=f"guess-{len(answers)}", body=body)
        answers.append({name: answer[name] for name in ("t", "code", "details", "retriable")})
    assert answers[0] == answers[1]
    return answers


async def sees_nothing(stranger: Any, secrets: set[str], order_id: str, request_id: str) -> None:
    """Over REST: pages without it, and for its ids the answer for what does not exist."""
    period = {"from": "2024-05-12T18:00:00Z", "to": "2024-05-12T19:00:00Z"}
    pages = ["/v1/requests", "/v1/offers", "/v1/orders", "/v1/sites", "/metrics"]
    texts = [(await stranger.get(path)).text for path in pages]
    assert not [secret for secret in secrets if any(secret in text for text in texts)]
    for path, none in (
        (f"/v1/orders/{order_id}", "/v1/orders/none"),
        (f"/v1/requests/{request_id}/book", "/v1/requests/none/book"),
    ):
        assert (await stranger.get(path)).content == (await stranger.get(none)).content
    hidden = await stranger.get("/v1/readings", params=period | {"site": "fra-1"})
    absent = await stranger.get("/v1/readings", params=period | {"site": "none"})
    assert (hidden.status_code, hidden.content) == (404, absent.content)


# --- scenario 14 -------------------------------------------------------------------------------------------------


def a_long_alert(number: int) -> GridAlert:
    return a_grid_alert(alert_id=f"alert-{number}", text="x" * 500, ends_at=utc("23:00"))


def is_closed_for_slowness(world: Any) -> bool:
    name, labels = "gridsignal_gateway_closes_total", {"code": "4002"}
    return bool(world.stack.gateway.gauges.registry.get_sample_value(name, labels))


async def test_who_stalls_is_closed_with_a_cursor_and_nobody_else_notices(world: Any, sites: Sites) -> None:
    one, _ = sites
    heard, count = one.subscribe("alerts", zones=["DE-LU"]), 0
    token = world.stack.token("participant", "volt-colo")
    async with asyncio.timeout(3 * SOON_S):
        with Pipe.open(world.stack.gateway.address, token) as stalled:
            await stalled.subscribe("alerts")
            while not is_closed_for_slowness(world):
                await told(world, map(a_long_alert, range(count, count + 50)))
                count += 50
            got = [await stalled.frame()]  # the gateway doesn't wait for ever for who is being closed
            while got[-1]["t"] != "close":
                got.append(await stalled.frame())
            mine = [(await anext(heard)).alert_id for _ in range(count)]
    assert mine == [f"alert-{number}" for number in range(count)]
    seen = [frame["body"]["alert_id"] for frame in got if frame["t"] == "signal"]
    cursor = [frame["cursor"] for frame in got if "cursor" in frame][-1]
    assert (got[-1]["code"], 0 < len(seen) < count) == (4002, True)
    async with world.site("volt-colo", "muc-1") as back, asyncio.timeout(SOON_S):
        resumed = back.subscribe("alerts", cursor=cursor)
        rest = [(await anext(resumed)).alert_id for _ in range(count - len(seen))]
    assert seen + rest == mine


async def test_for_a_slow_reader_prices_conflate_and_orders_do_not(world: Any, sites: Sites, hearing: Any) -> None:
    one, _ = sites
    revisions = 1500  # more than the kernel holds for it
    heard = one.subscribe("dispatch", zones=["DE-LU"])
    with Pipe.open(world.stack.gateway.address, world.stack.token("participant", "acme-ai")) as slow:
        await slow.subscribe("dispatch")
        await slow.subscribe("prices", "latest")
        await told(world, (a_spot_price(revision=number) for number in range(1, revisions // 2)))
        await world.ask()
        await one.offer(await hearing(heard, DispatchRequest), 10 * MW, "80")
        await world.reach(utc("17:00"))
        await one.accept(await hearing(heard, DispatchOrder))
        await told(world, (a_spot_price(revision=number) for number in range(revisions // 2, revisions + 1)))
        prices, dispatch = [0], []
        async with asyncio.timeout(SOON_S):
            while prices[-1] != revisions:
                frame = await slow.frame()
                if frame["t"] == "signal" and frame["type"] == "SpotPrice":
                    prices.append(frame["body"]["revision"])
                elif frame["t"] == "signal":
                    dispatch.append((frame["type"], frame["body"].get("decision", frame["body"].get("state"))))
    assert prices == sorted(prices)
    assert len(prices) < revisions
    assert dispatch == [
        ("DispatchRequest", None),
        ("OfferDecision", "ACCEPTED_FOR_CLEARING"),
        ("DispatchOrder", "ISSUED"),
        ("OfferDecision", "AWARDED"),
    ]
