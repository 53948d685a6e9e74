"""An identity provider's key set over HTTP: rotated, cached, away, odd; the keys read last stay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwk import ECKey

from gridsignal_services.access.issuer import AUDIENCE, ISSUER, LocalIssuer
from gridsignal_services.access.keys import TrustedKeys
from gridsignal_services.access.keys_at_url import LARGEST_BYTES, KeysAtUrl, KeysUnavailable
from gridsignal_services.access.tokens import Unauthorized, Verifier
from tests.patience import SOON_S

ONE, TWO = (LocalIssuer(ECKey.generate_key("P-256", auto_kid=True)) for _ in range(2))


class Provider:
    """Answers each request with `body` and `headers`, or 304 where the ETag is known."""

    def __init__(self) -> None:
        self.body, self.status, self.headers = json.dumps(ONE.jwks), 200, ""
        self.asked: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head)
        status, body = self.status, self.body.encode()
        if 'if-none-match: "' in head.lower():
            status, body = 304, b""
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{self.headers}\r\n".encode() + body)
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"


@contextmanager
def refused(why: str) -> Iterator[None]:
    with pytest.raises(Unauthorized) as refusal:
        yield
    assert refusal.value.why == why


def token(issuer: LocalIssuer) -> str:
    return issuer.mint("operator", "tso-north", "x", ["signal:read"], 600, datetime.now(UTC))


@asynccontextmanager
async def kept(keys: KeysAtUrl) -> AsyncIterator[Verifier]:
    """A verifier whose keys are kept those at the URL."""
    first = await keys.fetch()
    assert first is not None
    verifier = Verifier(first, ISSUER, AUDIENCE, refused=keys.refused)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(keys.keep(verifier.trust))
        yield verifier
        keeping.cancel()


async def lets_in(verifier: Verifier, text: str) -> None:
    async with asyncio.timeout(SOON_S):
        while True:
            try:
                verifier.verify(text, datetime.now(UTC))
                return
            except Unauthorized:
                await asyncio.sleep(0)  # the keys are on their way


async def test_an_unknown_key_has_the_set_read_again_and_a_key_that_is_gone_is_trusted_no_more() -> None:
    provider = Provider()
    async with provider.serving() as url, kept(KeysAtUrl(url, refetch_s=0)) as verifier:
        assert verifier.verify(token(ONE), datetime.now(UTC)).organisation == "tso-north"
        provider.body = json.dumps(TWO.jwks)
        await lets_in(verifier, token(TWO))
        with refused("key"):
            verifier.verify(token(ONE), datetime.now(UTC))


async def test_unknown_keys_cause_no_flood_of_requests() -> None:
    provider = Provider()
    async with provider.serving() as url, kept(KeysAtUrl(url, refetch_s=3600)) as verifier:
        for _ in range(1000):
            with refused("key"):
                verifier.verify(token(TWO), datetime.now(UTC))
        await asyncio.sleep(0)
        assert len(provider.asked) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, "{}"),
        (200, "<html>"),
        (200, '{"keys": []}'),
        (200, "[" * 100_000),
        (200, " " * (LARGEST_BYTES + 1)),
        (302, ""),
    ],
)
async def test_an_answer_of_no_use_keeps_the_keys_read_last(status: int, body: str) -> None:
    provider = Provider()
    async with provider.serving() as url, kept(KeysAtUrl(url, refetch_s=0)) as verifier:
        provider.status, provider.body = status, body
        async with asyncio.timeout(SOON_S):
            while len(provider.asked) < 3:
                with refused("key"):
                    verifier.verify(token(TWO), datetime.now(UTC))
                await asyncio.sleep(0)
        assert verifier.verify(token(ONE), datetime.now(UTC)).organisation == "tso-north"
        provider.status, provider.body = 200, json.dumps(TWO.jwks)
        await lets_in(verifier, token(TWO))


async def test_a_set_that_is_still_the_same_is_not_sent_again() -> None:
    provider = Provider()
    provider.headers = 'ETag: "one"\r\nCache-Control: public, max-age=600\r\n'
    async with provider.serving() as url:
        keys = KeysAtUrl(url, refetch_s=0)
        assert isinstance(await keys.fetch(), TrustedKeys)
        assert await keys.fetch() is None
    assert 'if-none-match: "one"' in provider.asked[1].lower()


async def test_nobody_there_at_the_start_is_told_as_to_be_tried_again() -> None:
    async with Provider().serving() as url:
        pass
    with pytest.raises(KeysUnavailable, match="jwks_url: expected a key set at http"):
        await KeysAtUrl(url, refetch_s=0).fetch()


def a_set(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": list(keys)})


async def test_keys_for_other_purposes_in_the_set_are_left_out() -> None:
    provider = Provider()
    provider.body = a_set({"kty": "RSA", "use": "enc", "kid": "e", "n": "AA", "e": "AQAB"}, *ONE.jwks["keys"])
    async with provider.serving() as url:
        found = await KeysAtUrl(url, refetch_s=0).fetch()
    assert found is not None
    assert len(found.by_id) == 1
    assert len(found.unusable) == 1
