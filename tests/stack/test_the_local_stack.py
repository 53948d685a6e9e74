"""`docker compose up`, driven from outside: first steps, kills, restarts, wipes, and everything down and up again."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

import gridsignal
from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.messages import DispatchOrder, DispatchRequest
from gridsignal_services.bus import LogConfigurationError, LogUnavailable
from gridsignal_services.bus.kafka import KafkaLog
from gridsignal_services.bus.kafka_requests import give
from gridsignal_services.bus.kafka_rights import NEEDS, rights
from gridsignal_services.bus.kafka_topics import Brokers, administration, apply
from tests.integration.gateway_stand import open_client
from tests.load import CHECKER, MW, Load, counts, must_be_whole
from tests.patience import LONG_S, SOON_S
from tests.stack.compose import DOORS, ROOT, Compose, docker

MEMORY_MB = {"gateway": 256, "dispatch": 256, "ingest": 256}
"""What a door may take after it has worked for a while."""


def soon(**after: float) -> datetime:
    return (datetime.now(UTC) + timedelta(**after)).replace(microsecond=0)


def as_text(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


async def hear(signals: gridsignal.Subscription, kind: type[Any], **fields: Any) -> Any:
    async with asyncio.timeout(LONG_S):
        async for heard in signals:
            if isinstance(heard, kind) and all(getattr(heard, name) == want for name, want in fields.items()):
                return heard
    raise AssertionError("the stream ended")


# --- first steps -------------------------------------------------------------------------------------------------


async def test_a_request_an_offer_an_order_and_a_reading(stack: Compose) -> None:
    async with stack.site("gateway", "first", stack.directory / "first.db") as grid:
        day = soon(days=-1).replace(hour=0, minute=0, second=0)
        await grid.declare_baseline(day, [36 * MW] * 30, resolution_s=86_400)
        signals = grid.subscribe("dispatch", zones=["DE-LU"])
        times = {"gate_closure_at": soon(seconds=15), "decision_deadline": soon(minutes=5)}
        times |= {"starts_at": soon(minutes=30), "ends_at": soon(minutes=75)}
        request_id = await stack.ask("dispatch", **{name: as_text(at) for name, at in times.items()})
        request = await hear(signals, DispatchRequest, request_id=request_id)
        await grid.offer(request, 10 * MW, "80")
        order = await hear(signals, DispatchOrder, request_id=request_id)
        await grid.accept(order)
        quarter = soon(minutes=-15)
        await grid.meter(meter="main", starts_at=quarter, ends_at=soon(), import_w=30 * MW, seq=1)
    async with stack.desk("dispatch") as desk:
        book = (await desk.get(f"/v1/requests/{request_id}/book")).json()
        view = (await desk.get(f"/v1/orders/{order.order_id}")).json()
    assert [line["awarded_w"] for line in book["offers"]] == [10 * MW]
    assert (view["state"], view["order"]["power_w"]) == ("ACCEPTED", 10 * MW)


def figures(out: str) -> dict[str, Any]:
    """What a demo prints, but for how long things took, and the proof, which is of a log in its own folder."""
    return {name: value for name, value in json.loads(out).items() if name not in ("latency_ms", "proof")}


def test_a_day_is_replayed_through_it_and_its_figures_are_those_of_one_process(stack: Compose) -> None:
    stepped = [sys.executable, "-m", "gridsignal", "demo", "--speed", "max", "--json"]
    alone = subprocess.run(stepped, capture_output=True, text=True, check=True, timeout=LONG_S).stdout
    here = stack.run("run", "--rm", "--no-TTY", "demo", "--speed", "600", "--json")  # a second for each answer
    assert figures(here) == figures(alone)
    topics = stack.kafka("topics", "--list").split()
    assert TOPICS["dispatch"].name in topics
    assert [name for name in topics if name.startswith("simulation-")] == []  # they went with it


async def test_a_cursor_resumes_without_a_gap(stack: Compose) -> None:
    token = stack.token("participant", "acme-ai")
    url = f"{stack.gateway('gateway')}/v1/stream"
    async with open_client(url, token) as client:
        await client.hello(site="fra-1")
        await client.subscribe("dispatch", filter={"zones": ["DE-LU"]}, snapshot=True)
        cursor = (await client.position())["cursor"]
    request_id = await stack.ask("dispatch")
    async with open_client(url, token) as client:
        await client.hello(site="fra-1")
        back = await client.subscribe("dispatch", filter={"zones": ["DE-LU"]}, cursor=cursor)
        missed = await client.signal()
    assert (back["recovery"], missed["body"]["request_id"]) == ("full", request_id)


# --- what it tells about itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("door", "name"), [("gateway", "gridsignal_gateway_"), ("dispatch", "gridsignal_dispatch_"), ("ingest", "_feed_")]
)
async def test_each_door_has_metrics(stack: Compose, door: str, name: str) -> None:
    assert name in await stack.metrics(door)


async def test_prometheus_reads_every_door_and_knows_our_rules(stack: Compose) -> None:
    stack.up("--no-build", "prometheus")
    async with httpx2.AsyncClient(base_url=stack.prometheus, timeout=SOON_S) as asking, asyncio.timeout(LONG_S):
        states: set[str] = set()
        while states != {"up"}:  # the first scrape comes within five seconds
            found = (await asking.get("/api/v1/targets")).json()["data"]["activeTargets"]
            states = {target["health"] for target in found}
        rules = (await asking.get("/api/v1/rules")).json()["data"]["groups"]
    assert {target["labels"]["instance"].split(":")[0] for target in found} == set(DOORS)
    assert {rule["health"] for group in rules for rule in group["rules"]} <= {"ok", "unknown"}
    assert rules


async def test_grafana_has_our_boards(stack: Compose) -> None:
    start_grafana(stack)
    async with httpx2.AsyncClient(base_url=stack.grafana, timeout=SOON_S) as asking:
        found = (await asking.get("/api/search", params={"type": "dash-db"})).json()
    names = {board.stem for board in (ROOT / "deploy" / "grafana" / "boards").glob("*.json")}
    assert names
    assert {board["uid"].removeprefix("gridsignal-") for board in found} == names


def start_grafana(stack: Compose) -> None:
    """The test is skipped where there is no image: nothing is pulled by tests."""
    try:
        docker("image", "inspect", stack.image_of("grafana"))
    except subprocess.CalledProcessError:
        pytest.skip("needs Grafana's image: docker compose --profile metrics pull grafana")
    stack.up("--no-build", "prometheus", "grafana")


def test_everything_is_published_on_loopback_alone(stack: Compose) -> None:
    for service in ("kafka", "gateway", "dispatch", "ingest", "registry", "cache"):
        ports = stack.inspect(service)["NetworkSettings"]["Ports"]
        assert {place["HostIp"] for places in ports.values() for place in places or []} <= {"127.0.0.1"}


ALL = [*DOORS, "kafka", "registry", "cache", "prometheus", "grafana", "keys", "secrets", "topics", "rights", "schemas"]


@pytest.mark.parametrize("service", ALL)
def test_a_service_has_no_more_rights_than_it_needs(stack: Compose, service: str) -> None:
    if service == "grafana":
        start_grafana(stack)
    found = stack.inspect(service)
    assert found["HostConfig"]["ReadonlyRootfs"]
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    added = {right.removeprefix("CAP_") for right in found["HostConfig"]["CapAdd"] or []}
    assert added == ({"CHOWN"} if service == "secrets" else set())
    assert "no-new-privileges:true" in found["HostConfig"]["SecurityOpt"]
    assert found["Config"]["User"] not in ("", "0") or service == "prometheus"  # its image says nobody
    assert (found["Config"]["User"] == "root") is (service == "secrets")


@pytest.mark.parametrize("door", list(DOORS))
def test_a_door_reads_whom_to_trust_and_can_not_change_it(stack: Compose, door: str) -> None:
    assert stack.run("exec", "--no-TTY", door, "ls", "/issuer").split() == []  # its private key is not for doors
    assert stack.run("exec", "--no-TTY", door, "ls", "/trust").split() == ["jwks.json"]
    told = stack.run("exec", "--no-TTY", door, "sh", "-c", "echo {} > /trust/jwks.json || echo refused", check=False)
    assert told.strip() == "refused"


@pytest.mark.parametrize("service", [*DOORS, "kafka", "registry", "cache"])
def test_a_secret_is_readable_by_whoever_needs_it_alone_and_stands_in_no_environment(
    stack: Compose, service: str
) -> None:
    owner = stack.run("exec", "--no-TTY", service, "id", "-u").strip()
    listing = stack.run("exec", "--no-TTY", service, "ls", "-ln", "/secrets").splitlines()[1:]
    assert listing
    for line in listing:
        mode, _, uid, *_ = line.split()
        assert (mode.rstrip("."), uid) == ("-r--------", owner)
    words = {stack.run("exec", "--no-TTY", door, "cat", "/secrets/kafka-password").strip() for door in DOORS}
    assert len(words) == len(DOORS)
    for word in words:
        assert word not in json.dumps(stack.inspect(service))


async def test_neither_the_brokers_nor_the_cache_talk_to_whoever_says_no_word(stack: Compose) -> None:
    assert "NOAUTH" in stack.run("exec", "--no-TTY", "cache", "valkey-cli", "keys", "*", check=False)
    for login in ({}, {"KAFKA_USERNAME": "reader", "KAFKA_PASSWORD": "guess"}):
        words = [sys.executable, str(CHECKER), stack.servers, ""]
        asked = await asyncio.create_subprocess_exec(*words, env=os.environ | login, stdout=-1, stderr=-1)
        out, _ = await asked.communicate()
        assert (asked.returncode, out) == (1, b"")


def brokers(stack: Compose, user: str) -> Brokers:
    """The way of one user to the brokers, from this machine."""
    if user == "reader":
        word = stack.broker_login()["KAFKA_PASSWORD"]
    else:
        word = stack.run("exec", "--no-TTY", user, "cat", "/secrets/kafka-password").strip()
    return Brokers(stack.servers, username=user, password=word)


@pytest.mark.parametrize("door", list(DOORS))
async def test_whoever_has_the_word_of_a_door_writes_what_it_writes_and_nothing_else(stack: Compose, door: str) -> None:
    """What it may, the doors show with their work."""
    log = await KafkaLog.open(brokers(stack, door))
    try:
        for stream in TOPICS.keys() - NEEDS[door].writes:
            with pytest.raises(LogUnavailable, match="TopicAuthorizationFailed"):
                await log.append(stream, "DE-LU", b"x", {})
    finally:
        await log.aclose()


async def test_a_reader_writes_nothing(stack: Compose) -> None:
    with pytest.raises(LogUnavailable, match="ClusterAuthorizationFailed"):  # it can't even begin to
        await KafkaLog.open(brokers(stack, "reader"))


@pytest.mark.parametrize("user", [*DOORS, "reader"])
async def test_only_the_set_up_gives_rights_and_makes_topics(stack: Compose, user: str) -> None:
    async with administration(brokers(stack, user)) as admin:
        with pytest.raises(LogConfigurationError, match="rights: expected brokers that give them"):
            await give(admin, rights(""))
        with pytest.raises(LogConfigurationError, match="TopicAuthorizationFailed"):
            await apply(admin, "of-somebody.", replication=1)


def test_who_does_not_say_a_name_to_the_brokers_may_nothing(stack: Compose) -> None:
    """From inside their container, where a port without passwords says whether they are healthy."""
    words = ("kafka", "/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server", "localhost:19092", "--list")
    assert stack.run("exec", "--no-TTY", *words).split() == []


# --- kills, restarts and wipes while offers flow -----------------------------------------------------------------


@asynccontextmanager
async def under_load(stack: Compose, told: str) -> AsyncIterator[Load]:
    """Offers flow while the block runs; afterwards everything received is there once, and everybody has heard it."""
    async with Load.on(stack, "dispatch") as load:
        await load.offering.reach(30)
        yield load
        await load.offering.reach(len(load.offering.receipts) + 30)
    found = await stack.checked()
    print(f"\n{told}:", counts(load, found))
    must_be_whole(load, found, repeats=told.endswith("kafka"))


@pytest.mark.parametrize("service", ["gateway", "dispatch", "kafka"])
async def test_what_is_killed_comes_back_by_itself_and_nothing_is_lost(stack: Compose, service: str) -> None:
    restarts = stack.inspect(service)["RestartCount"]
    async with under_load(stack, f"kill -9 {service}"):
        stack.kill_nine(service)
    assert stack.inspect(service)["RestartCount"] == restarts + 1
    for door in DOORS:
        await stack.ready(door)


Trouble = Callable[[Compose], Awaitable[None]]


async def _restart_the_gateway(stack: Compose) -> None:
    await asyncio.to_thread(stack.run, "restart", "gateway")


async def _wipe_the_cache(stack: Compose) -> None:
    flush = "REDISCLI_AUTH=$(cat /secrets/key) valkey-cli flushall"
    assert "OK" in await asyncio.to_thread(stack.run, "exec", "--no-TTY", "cache", "sh", "-c", flush)


async def _take_the_registry_away(stack: Compose) -> None:
    await asyncio.to_thread(stack.run, "stop", "registry")


@pytest.mark.parametrize("trouble", [_restart_the_gateway, _wipe_the_cache, _take_the_registry_away])
async def test_trouble_that_users_do_not_notice(stack: Compose, trouble: Trouble) -> None:
    try:
        async with under_load(stack, trouble.__name__):
            await trouble(stack)
    finally:
        await asyncio.to_thread(stack.up, "--no-build")


async def test_down_and_up_again_with_its_volumes_it_goes_on_where_it_was(stack: Compose) -> None:
    token, url = stack.token("participant", "acme-ai"), f"{stack.gateway('gateway')}/v1/stream"
    before = await stack.checked()
    async with open_client(url, token) as client:
        await client.hello(site="fra-1")
        await client.subscribe("dispatch", filter={"zones": ["DE-LU"]}, snapshot=True)
        cursor = (await client.position())["cursor"]
    request_id = await stack.ask("dispatch")
    await asyncio.to_thread(stack.down)
    await asyncio.to_thread(stack.up, "--no-build")
    async with open_client(url, token) as client:
        await client.hello(site="fra-1")
        back = await client.subscribe("dispatch", filter={"zones": ["DE-LU"]}, cursor=cursor)
        missed = await client.signal()
    assert (back["recovery"], missed["body"]["request_id"]) == ("full", request_id)
    assert (await stack.checked())["offers"] == before["offers"]


def test_no_door_has_grown(stack: Compose) -> None:
    """After all that was done to it."""
    names = {stack.inspect(door)["Name"].lstrip("/"): door for door in DOORS}
    used = {}
    for line in docker("stats", "--no-stream", "--format", "{{json .}}", *names).splitlines():
        row = json.loads(line)
        used[names[row["Name"]]] = float(row["MemUsage"].split("MiB")[0])
    print("\nmemory, MiB:", used)
    assert all(used[door] < limit for door, limit in MEMORY_MB.items())
