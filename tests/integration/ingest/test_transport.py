"""The HTTP edge against a feed on a bad day: every failure has its type, and none tells a secret."""

from __future__ import annotations

import asyncio
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from gridsignal_services.ingest.feed import Call, FeedError, Malformed, Outage, TooLarge
from gridsignal_services.ingest.transport import Http
from gridsignal_services.testing import ManualClock
from tests.integration.ingest.fake_provider import Reply, fake_provider, gzipped

SECRET = "s3cret/+key"


async def fetched(address: str, *, timeout_s: float = 20.0, largest_bytes: int = 1 << 20) -> bytes:
    call = Call(f"{address}/api", {"zone": "FR"}, secret_params={"securityToken": SECRET}, headers={"X-Key": SECRET})
    async with Http(timeout_s=timeout_s, largest_bytes=largest_bytes, trust_env=False) as http:
        answer = await http.fetch(call, provider="fake", per_minute=6000)
    return answer.body


async def refused(reply: Reply, **options: float) -> FeedError:
    async with fake_provider(reply) as fake:
        with pytest.raises(FeedError) as caught:
            await fetched(fake.address, **options)  # type: ignore[arg-type]  # seconds and bytes
    assert SECRET not in str(caught.value)
    return caught.value


async def test_an_answer_is_read_and_the_key_travels_in_the_query() -> None:
    async with fake_provider(gzipped(b"figures")) as fake:
        assert await fetched(fake.address) == b"figures"
        assert fake.questions[0].params == {"zone": ["FR"], "securityToken": [SECRET]}


async def test_a_status_and_its_retry_after_are_handed_on_for_the_provider_to_read() -> None:
    async with fake_provider(Reply(b"<html>slow down</html>", 429, {"Retry-After": "120"})) as fake, Http() as http:
        answer = await http.fetch(Call(fake.address), provider="fake", per_minute=6000)
    assert (answer.status, answer.retry_after_s) == (429, 120.0)


async def test_a_date_to_come_again_is_so_many_seconds_away() -> None:
    clock = ManualClock(datetime(2024, 5, 12, 12, tzinfo=UTC))
    later = Reply(b"", 503, {"Retry-After": "Sun, 12 May 2024 12:02:00 GMT"})
    waits = []
    async with fake_provider(later) as fake, Http(trust_env=False, now=clock.now) as http:
        for wait_s in (0, 119, 2):
            clock.move_to(clock.now() + timedelta(seconds=wait_s))
            waits.append((await http.fetch(Call(fake.address), provider="fake", per_minute=6000)).retry_after_s)
    assert waits == [120.0, 1.0, 0.0]


async def test_a_feed_that_says_nothing_is_an_outage_in_time() -> None:
    assert isinstance(await refused(Reply(silent=True), timeout_s=0.2), Outage)


@pytest.mark.parametrize("cut", [0, 10, 60], ids=["no byte", "half a header", "half a body"])
async def test_an_answer_that_breaks_off_is_tried_once_more_and_then_an_outage(cut: int) -> None:
    async with fake_provider(Reply(b"x" * 1000, cut=cut)) as fake:
        with pytest.raises(Outage):
            await fetched(fake.address)
        assert len(fake.questions) == 2


async def test_a_connection_that_was_dropped_once_does_no_harm() -> None:
    replies = iter([Reply(b"x" * 100, cut=3), Reply(b"figures")])
    async with fake_provider(lambda _: next(replies)) as fake:
        assert await fetched(fake.address) == b"figures"


async def test_a_cut_gzip_is_an_outage_and_a_broken_one_malformed() -> None:
    whole = gzipped(b"figures" * 1000)
    assert isinstance(await refused(Reply(whole.body[:-9], headers=whole.headers)), Outage)
    assert isinstance(await refused(Reply(b"not gzip", headers=whole.headers)), Malformed)
    assert isinstance(await refused(Reply(b"x", headers={"Content-Encoding": "br"})), Malformed)


async def test_a_bomb_is_cut_off_while_it_unfolds() -> None:
    assert isinstance(await refused(gzipped(b"\0" * (8 << 20))), TooLarge)
    layers = zlib.compress(b"\0" * (8 << 20))
    assert isinstance(await refused(Reply(layers, headers={"Content-Encoding": "deflate"})), TooLarge)


async def test_a_body_without_end_is_not_read_to_its_end() -> None:
    assert isinstance(await refused(Reply(b"x" * 5000), largest_bytes=1000), TooLarge)


async def test_a_redirect_elsewhere_is_not_followed_for_the_key_would_go_there() -> None:
    async with fake_provider(Reply(b"thanks for the key")) as thief:
        fault = await refused(Reply(status=302, headers={"Location": f"{thief.address}/take"}))
        assert isinstance(fault, Outage)
        assert thief.questions == []


async def test_a_redirect_within_the_feed_is_followed_but_not_round_in_circles() -> None:
    def script(question: object) -> Reply:
        path = getattr(question, "path", "")
        return Reply(b"figures") if path == "/v2" else Reply(status=301, headers={"Location": "/v2"})

    async with fake_provider(script) as fake:
        assert await fetched(fake.address) == b"figures"
    assert isinstance(await refused(Reply(status=302, headers={"Location": "/again"})), Outage)


async def test_a_feed_that_is_not_there_is_an_outage_without_its_query() -> None:
    async with fake_provider(Reply()) as fake:
        address = fake.address
    with pytest.raises(Outage) as caught:
        await fetched(address)
    assert SECRET not in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_requests_beyond_the_budget_wait() -> None:
    async with fake_provider(Reply(b"x")) as fake, Http(trust_env=False) as http:
        fetches = [http.fetch(Call(fake.address), provider="fake", per_minute=6) for _ in range(3)]
        tasks = [asyncio.create_task(fetch) for fetch in fetches]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1  # a sixth of a minute's six at once
        for task in waiting:
            task.cancel()
