"""The issuer's key set at a URL: read at start, again when it grows old, and soon when a token names an unknown key.

Bounded: one request at a time, `TIMEOUT_S` and `LARGEST_BYTES` for an answer, `jwks_refetch_s` between two. When the
URL gives nothing of use, the keys read last stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable

import httpx2

from gridsignal_services.access.keys import TrustedKeys
from gridsignal_services.telemetry import Outage, logger

TIMEOUT_S = 10.0
LARGEST_BYTES = 512 * 1024
LEAST_AGE_S, USUAL_AGE_S, MOST_AGE_S = 60.0, 300.0, 3600.0
"""How long a set is used: as its max-age says, within these."""
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])")

_log = logger("access")


class KeysUnavailable(Exception):
    """The URL gives no usable key set now. Retriable."""


class KeysAtUrl:
    """Keeps the keys of a verifier those at a URL."""

    def __init__(self, url: str, *, refetch_s: float) -> None:
        self._url, self._refetch_s = url, refetch_s
        self._wanted = asyncio.Event()
        self._etag = ""
        self._age_s = USUAL_AGE_S
        self._outage = Outage(_log, "the issuer's key set", url=url)

    def refused(self, why: str) -> None:
        """A token was refused: where its key is unknown, the set may be an old one."""
        if why == "key":
            self._wanted.set()

    async def fetch(self) -> TrustedKeys | None:
        """The keys; None where they are those of the last time. Raises KeysUnavailable."""
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                httpx2.AsyncClient(follow_redirects=False, headers={"Accept": "application/json"}) as client,
                client.stream("GET", self._url, headers={"If-None-Match": self._etag} if self._etag else {}) as answer,
            ):
                self._age_s = _age_s(answer.headers.get("cache-control", ""))
                if answer.status_code == 304:
                    return None
                if answer.status_code != 200:
                    raise KeysUnavailable(f"expected status 200, got {answer.status_code}")
                keys = TrustedKeys.parse(await _bounded(answer))
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError) as fault:
            reason = str(fault) if isinstance(fault, ValueError) else type(fault).__name__
            raise KeysUnavailable(f"jwks_url: expected a key set at {self._url}, got: {reason:.200}") from None
        self._etag = answer.headers.get("etag", "")
        return keys

    async def keep(self, take: Callable[[TrustedKeys], None]) -> None:
        """Fetches again whenever it is time, until it is cancelled; `take` gets each new set."""
        while True:
            await self._until_due()
            self._wanted.clear()
            try:
                if (keys := await self.fetch()) is not None:
                    take(keys)
                self._outage.over()
            except KeysUnavailable as away:
                self._age_s = LEAST_AGE_S
                self._outage.say(away)

    async def _until_due(self) -> None:
        now_s = asyncio.get_running_loop().time
        fetched_s = now_s()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._age_s):
                await self._wanted.wait()
        await asyncio.sleep(max(0.0, fetched_s + self._refetch_s - now_s()))


def _age_s(cache_control: str) -> float:
    found = _MAX_AGE.search(cache_control.lower())
    return min(max(float(found[1]), LEAST_AGE_S), MOST_AGE_S) if found else USUAL_AGE_S


async def _bounded(answer: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > LARGEST_BYTES:
            raise ValueError(f"more than {LARGEST_BYTES} bytes")
    return bytes(body)
