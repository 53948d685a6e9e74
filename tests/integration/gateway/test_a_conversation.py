"""hello, subscribe, signals, unsubscribe: what every client does first."""

from __future__ import annotations

from tests.builders import a_carbon_intensity, a_dispatch_request, a_grid_alert, a_spot_price
from tests.integration.gateway_stand import Stand


async def test_the_welcome_says_what_the_connection_may_do(stand: Stand) -> None:
    async with stand.client() as client:
        welcome = client.welcome
    assert welcome["t"] == "welcome"
    assert welcome["id"] == 1
    assert (welcome["ping_s"], welcome["max_subscriptions"], welcome["offer_window"]) == (8, 256, 64)
    assert welcome["token_expires_at"].endswith("Z")
    assert "grid_clock" not in welcome


async def test_a_price_reaches_a_subscriber_with_its_cursor(stand: Stand) -> None:
    async with stand.client() as client:
        subscribed = await client.subscribe("prices", filter={"zones": ["DE-LU"]})
        assert subscribed["recovery"] == "none"
        price = a_spot_price()
        await stand.publish(price)
        signal = await client.signal()
    assert signal["sub"] == subscribed["sub"]
    assert signal["type"] == "SpotPrice"
    assert signal["body"]["prices_per_mwh"][:2] == ["65.49", "54.5"]
    assert type(price).model_validate(signal["body"]) == price
    assert 80 <= len(signal["cursor"]) <= 140


async def test_a_filter_keeps_other_zones_products_and_accountings_away(stand: Stand) -> None:
    async with stand.client(site=None, token=stand.token("hyper-infer")) as client:
        await client.subscribe("prices", filter={"zones": ["DE-LU"], "products": ["DAY_AHEAD"]})
        await client.subscribe("carbon", filter={"accounting": ["MARGINAL"]})
        await stand.publish(
            a_spot_price(zone="FR"),
            a_spot_price(product="INTRADAY"),
            a_carbon_intensity(),
            a_carbon_intensity(accounting="MARGINAL"),
            a_spot_price(),
        )
        got = [await client.signal(), await client.signal()]
        rest = await client.round_trip()
    assert sorted((g["type"], g["body"].get("product", g["body"].get("accounting"))) for g in got) == [
        ("CarbonIntensity", "MARGINAL"),
        ("SpotPrice", "DAY_AHEAD"),
    ]
    assert [frame for frame in rest if frame["t"] == "signal"] == []


async def test_nothing_of_a_subscription_arrives_after_its_end(stand: Stand) -> None:
    async with stand.client() as client:
        subscribed = await client.subscribe("alerts")
        await stand.publish(a_grid_alert())
        await client.signal()
        assert (await client.ask("unsubscribe", sub=subscribed["sub"]))["t"] == "unsubscribed"
        await stand.publish(a_grid_alert(revision=2))
        assert [frame for frame in await client.round_trip() if frame["t"] != "position"] == []
        assert (await client.ask("unsubscribe", sub=subscribed["sub"]))["code"] == "unknown_subscription"


async def test_a_snapshot_shows_the_newest_of_each_series_and_ends_with_a_position(stand: Stand) -> None:
    await stand.publish(a_spot_price(revision=1), a_spot_price(revision=2), a_spot_price(dataset="EXAA"))
    async with stand.client() as client:
        subscribed = await client.subscribe("prices", snapshot=True)
        assert subscribed["recovery"] == "snapshot"
        shown = [await client.receive() for _ in range(3)]
    assert [frame["t"] for frame in shown] == ["signal", "signal", "position"]
    assert sorted((f["body"]["dataset"], f["body"]["revision"]) for f in shown[:2]) == [("EXAA", 1), ("SDAC", 2)]
    assert all("cursor" not in frame for frame in shown[:2])


async def test_a_request_reaches_those_entitled_to_its_zone_and_only_once_accepted(stand: Stand) -> None:
    async with stand.client() as client, stand.client(site=None, token=stand.token("nobody-here")) as stranger:
        await client.subscribe("dispatch")
        await stranger.subscribe("dispatch")
        broken = a_dispatch_request(request_id="late", gate_closure_at=stand.clock.now())
        await stand.publish(broken, a_dispatch_request(), principal="operator:tso-north")
        signal = await client.signal()
        assert signal["type"] == "DispatchRequest"
        assert signal["body"]["request_id"] == a_dispatch_request().request_id
        assert [frame for frame in await client.round_trip() if frame["t"] == "signal"] == []
        assert [frame for frame in await stranger.round_trip() if frame["t"] == "signal"] == []
