"""Rivals learn nothing: whoever asks everything hears the same words, whatever somebody else offers meanwhile.

The same hours are lived twice, once with a rival's activity and once without. What is opaque and new each time (ids,
cursors, sealed positions) is compared by its length alone; everything else to the letter.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

import gridsignal
from gridsignal_schemas.messages import DispatchOrder, DispatchRequest
from tests.builders import utc
from tests.integration.gateway_stand import Client, open_client
from tests.journey.conftest import World, hear, stepped_world
from tests.patience import SOON_S

MW = 1_000_000
STREAMS = ("dispatch", "prices", "carbon", "alerts")
PERIOD = {"from": "2024-05-12T18:00:00Z", "to": "2024-05-12T19:00:00Z"}
MOMENTS = ("16:30", "17:05", "18:10", "19:30", "20:00")
"""Before the gate, after the decision, within the order, after its end, and once it is settled."""
SITES = {"volt-colo": "muc-1", "acme-ai": "fra-1"}
"""Who loses, and who wins and is settled."""
Activity = Callable[[World, gridsignal.Grid, DispatchRequest], Awaitable[None]]
Said = tuple[str, Any]

_FRESH = ("id", "sub", "session", "time", "token_expires_at", "cursor")
"""Fields of frames that are new on every connection."""
_OPAQUE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{64}|[\w-]{60,}"
    r'|(?<="token_expires_at":")[^"]+|(?<=127\.0\.0\.1:)\d{5}'
)


# --- what the rival does ------------------------------------------------------------------------------------------


async def nothing(world: World, rival: gridsignal.Grid, request: DispatchRequest) -> None:
    """The quiet life."""


async def offers_and_loses(world: World, rival: gridsignal.Grid, request: DispatchRequest) -> None:
    """Offers that lose, one of them taken back, one amended, one against the rules."""
    for number, price in enumerate(("80", "91", "99", "115")):
        await rival.offer(request, 10 * MW, price, offer_id=f"rival-{number}")
    await rival.withdraw("rival-1")
    await rival.offer(request, 9 * MW, "88", offer_id="rival-0", revision=2)
    await rival.offer(request, 10 * MW, "7000", offer_id="rival-capped")


async def declares_and_meters(world: World, rival: gridsignal.Grid, request: DispatchRequest) -> None:
    """Baselines and readings, and a great many records."""
    now = rival.now()
    for number in range(40):
        await rival.declare_baseline(
            starts_at=now + timedelta(hours=number), resolution_s=3600, power_w=[30 * MW] * 8, method="mean"
        )
        ends_at = now - timedelta(minutes=number)
        await rival.meter(
            meter="main", starts_at=ends_at - timedelta(minutes=1), ends_at=ends_at, import_w=30 * MW, seq=number
        )


# --- what the probe asks ------------------------------------------------------------------------------------------


async def everything_said(folder: Path, activity: Activity) -> list[Said]:
    """One life of the stack, and all that its probes were told."""
    said: list[Said] = []
    async with stepped_world(folder) as world, AsyncExitStack() as open_connections:
        request_id = await world.ask()
        winner = await open_connections.enter_async_context(world.site("acme-ai", "fra-1"))
        rival = await open_connections.enter_async_context(world.site("hyper-infer", "ber-1"))
        heard = winner.subscribe("dispatch", zones=["DE-LU"])
        request = await hear(heard, DispatchRequest)
        await winner.offer(request, 10 * MW, "70", offer_id="winner")
        probes = {
            who: await open_connections.enter_async_context(_probe(world, who)) for who in ("volt-colo", "acme-ai")
        }
        for who, each in probes.items():
            said.append(("hello", _plain(await each.hello(site=SITES[who], instance="probe"))))
            subscribed = [await each.subscribe(stream, snapshot=True) for stream in STREAMS]
            said.append(("subscribe", [_plain(answer) for answer in subscribed]))
        probe = probes["volt-colo"]
        said.append(("own offer", _plain(await _offers(probe, request, "probe-1", "90"))))
        await activity(world, rival, request)
        desks = {who: await open_connections.enter_async_context(desk) for who, desk in _desks(world).items()}
        asked_at = {who: await _paths(desk, request_id) for who, desk in desks.items()}
        for moment in MOMENTS:
            await world.reach(utc(moment))
            if moment == "17:05":
                await winner.accept(await hear(heard, DispatchOrder))
            said += [(f"{moment} {asked}", answer) for asked, answer in await _over_websocket(world, probe, request)]
            for who, paths in asked_at.items():
                said += [(f"{moment} {who} {path}", await _got(desks[who], path)) for path in paths]
        for who, each in probes.items():
            said.append((f"{who} heard", await _everything_heard(world, each)))
        said.append(("the request", request_id == request.request_id))
    assert [asked for asked, answer in said if "volt-colo /v1" in asked and answer[0] == 422] == []  # all were read
    assert '"Settlement"' in str(dict(said)["acme-ai heard"]), "its own order was settled"
    return said


def _probe(world: World, who: str = "volt-colo") -> Any:
    return open_client(f"{world.stack.gateway_url}/v1/stream", world.stack.token("participant", who))


async def _offers(probe: Client, request: DispatchRequest, offer_id: str, price: str) -> Any:
    option = {"option": "all", "power_w": 10 * MW, "price_per_mwh": price, "notice_s": 60, "full_activation_s": 300}
    option |= {"starts_at": request.starts_at.isoformat(), "ends_at": request.ends_at.isoformat()}
    option |= {"ramp_down_w_per_min": 10 * MW, "ramp_up_w_per_min": 10 * MW, "min_duration_s": 60}
    option |= {"max_duration_s": 3600, "divisible": True, "min_power_w": MW}
    body = {"revision": 1, "request_id": request.request_id, "request_revision": 1, "options": [option]}
    body |= {"flexibility": {"kind": "SHED", "workload": "TRAINING"}, "expires_at": request.ends_at.isoformat()}
    return await probe.ask("offer", offer_id=offer_id, body=body)


async def _over_websocket(world: World, probe: Client, request: DispatchRequest) -> list[Said]:
    """Questions about the rival's ids, an offer that comes late or not, and another's offer taken back."""
    said: list[Said] = []
    ids = ["probe-1", "rival-0", "rival-1", "rival-2", "rival-capped", "nobodys"]
    said.append(("query", _plain(await probe.ask("query", offer_ids=ids, order_ids=ids, response_ids=ids))))
    late = f"late-{world.clock.now():%H%M}"
    said.append(("late offer", _plain(await _offers(probe, request, late, "60"))))
    said.append(("withdraw a rival's", _plain(await probe.ask("withdraw", offer_id="rival-0", body={}))))
    return said


def _desks(world: World) -> dict[str, httpx2.AsyncClient]:
    host, port = world.stack.gateway.address
    nobody = {
        "nobody at the gateway": httpx2.AsyncClient(base_url=f"http://{host}:{port}", timeout=SOON_S),
        "nobody at dispatch": httpx2.AsyncClient(base_url=world.stack.api_url, timeout=SOON_S),
        "nobody at ingest": httpx2.AsyncClient(base_url=world.stack.feeds_url, timeout=SOON_S),
    }
    return nobody | {
        "volt-colo": world.desk("volt-colo", "participant"),
        "acme-ai": world.desk("acme-ai", "participant"),
        "supplier-one": world.desk("supplier-one"),
    }


async def _paths(desk: httpx2.AsyncClient, request_id: str) -> list[str]:
    """Every path that can be read at that door, with the ids that a probe can name."""
    plain = ["/", "/healthz", "/readyz", "/metrics"]
    schema = await desk.get("/openapi.json")
    if schema.status_code != 200:
        return plain
    fill = {"request_id": request_id, "order_id": "rival-0", "offer_id": "rival-0", "site": "ber-1"}
    fill["alert_id"] = "rival-0"
    fill["area"] = "east"
    fill["month"] = PERIOD["from"][:7]
    period = "&".join(f"{name}={value}" for name, value in PERIOD.items())
    paths = []
    for path, methods in schema.json()["paths"].items():
        if "get" in methods:
            asked = [f"{p['name']}" for p in methods["get"].get("parameters", []) if p["in"] == "query"]
            query = "&".join(["zone=DE-LU"] * ("zone" in asked) + ["site=ber-1"] * ("site" in asked))
            query = "&".join(filter(None, [query, period if "from" in asked else ""]))
            if path == "/v1/proofs":
                paths += [f"{path}?kind=request&id={request_id}", f"{path}?kind=offer&id=probe-1"]
                query += "&offset=0"
            paths.append(path.format(**fill) + (f"?{query}" if query else ""))
    return plain + sorted(paths)


def _is_meant_for(asked: str, activity: Activity) -> bool:
    """What a site's declarations are for: operators see how far its baseline reaches."""
    return activity is declares_and_meters and asked.endswith("supplier-one /v1/sites")


async def _got(desk: httpx2.AsyncClient, path: str) -> Any:
    answer = await desk.get(path)
    headers = {name: _short(value) for name, value in answer.headers.items() if name not in ("date", "content-length")}
    return answer.status_code, headers, _short(answer.text)


async def _everything_heard(world: World, probe: Client) -> list[str]:
    """All that the gateway had for the probe; its heartbeats go by the real clock and are not compared."""
    while not await world.stack.gateway.at_rest():
        await probe.round_trip()
    return sorted(str(_plain(frame)) for frame in await probe.round_trip() if frame["t"] != "position")


def _plain(frame: dict[str, Any]) -> str:
    kept = {name: value for name, value in frame.items() if name not in _FRESH}
    return _short(json.dumps(kept, sort_keys=True))


def _short(text: str) -> str:
    return _OPAQUE.sub(lambda found: f"<{len(found[0])}>", text)


# --- the law ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    """The quiet life, lived once: nobody changes what was said."""
    return asyncio.run(everything_said(tmp_path_factory.mktemp("quiet"), nothing))


@pytest.mark.parametrize("activity", [offers_and_loses, declares_and_meters], ids=lambda activity: activity.__name__)
async def test_everything_is_answered_alike_whatever_a_rival_does(
    activity: Activity, quiet: list[Said], tmp_path: Path
) -> None:
    busy = await everything_said(tmp_path / "busy", activity)
    assert [asked for asked, _ in quiet] == [asked for asked, _ in busy]
    told_apart = [
        (asked, one, other)
        for (asked, one), (_, other) in zip(quiet, busy, strict=True)
        if one != other and not _is_meant_for(asked, activity)
    ]
    assert told_apart == []


async def test_the_comparison_would_notice_an_offer_of_the_probes_own(quiet: list[Said], tmp_path: Path) -> None:
    async def another_hand_of_the_probe(world: World, rival: gridsignal.Grid, request: DispatchRequest) -> None:
        async with _probe(world) as hand:
            await hand.hello(site="muc-1")
            await _offers(hand, request, "probe-2", "85")

    busy = await everything_said(tmp_path / "busy", another_hand_of_the_probe)
    assert quiet != busy
