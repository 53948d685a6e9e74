"""The HTTP edge to the feeds (httpx2): bounded in time and size, on a leash in redirects, silent about secrets.

Bounded: one answer by `largest_bytes` after decompression and `timeout_s` in all; requests by each feed's budget.
When full: TooLarge, Outage; over budget the caller waits. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import httpx2

from gridsignal_services.clock import wall
from gridsignal_services.ingest.budget import Budget
from gridsignal_services.ingest.feed import Call, FeedAnswer, Malformed, Outage, TooLarge
from gridsignal_services.ingest.scrub import scrubbed

LARGEST_BYTES = 32 << 20
TIMEOUT_S = 30.0
REDIRECTS = 3
ATTEMPTS = 2
AGENT = "gridsignal-ingest"
_LONGEST_RETRY_AFTER_S = 6 * 3600.0


class Http:
    """Fetches answers of feeds. Every failure is a FeedError without a secret in it."""

    def __init__(
        self,
        *,
        timeout_s: float = TIMEOUT_S,
        largest_bytes: int = LARGEST_BYTES,
        trust_env: bool = True,
        now: Callable[[], datetime] = wall,
    ) -> None:
        """`now` is wall time: a feed may say until when it is not to be asked."""
        self._now = now
        self._timeout_s = timeout_s
        self._largest_bytes = largest_bytes
        self._budgets: dict[str, Budget] = {}
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(timeout_s, connect=min(10.0, timeout_s)),
            follow_redirects=False,
            trust_env=trust_env,
            headers={"User-Agent": AGENT, "Accept-Encoding": "gzip"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._client.aclose()

    async def fetch(self, call: Call, *, provider: str, per_minute: int) -> FeedAnswer:
        """The answer to a call, whatever its status. Raises Outage, TooLarge or Malformed.

        A dropped connection is tried once more at once; everything else is the schedule's business.
        """
        for attempt in range(1, ATTEMPTS + 1):
            await self._within_budget(provider, per_minute)
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._follow(call)
            except TimeoutError:
                raise Outage(f"{provider} did not answer within {self._timeout_s:g} s") from None
            except httpx2.TimeoutException:
                raise Outage(f"{provider} did not answer in time") from None
            except (httpx2.NetworkError, httpx2.RemoteProtocolError) as fault:
                if attempt == ATTEMPTS:
                    raise Outage(_reason(provider, fault, call)) from None
            except (httpx2.HTTPError, httpx2.InvalidURL) as fault:
                raise Outage(_reason(provider, fault, call)) from None
        raise AssertionError("unreachable")

    async def _within_budget(self, provider: str, per_minute: int) -> None:
        now_s = asyncio.get_running_loop().time()
        budget = self._budgets.setdefault(provider, Budget(per_minute, now_s))
        await asyncio.sleep(budget.wait_s(now_s))

    async def _follow(self, call: Call) -> FeedAnswer:
        url = httpx2.URL(call.url)
        if call.params or call.secret_params:
            url = url.copy_merge_params({**call.params, **call.secret_params})
        for _ in range(REDIRECTS + 1):
            request = self._client.build_request(call.method, url, headers=dict(call.headers), data=_form(call))
            response = await self._client.send(request, stream=True)
            try:
                if not response.is_redirect:
                    return await self._read(response)
                url = _same_origin(url, response.headers.get("location", ""))
            finally:
                await response.aclose()
        raise Outage(f"more than {REDIRECTS} redirects")

    async def _read(self, response: httpx2.Response) -> FeedAnswer:
        raw = bytearray()
        async for part in response.aiter_raw():
            raw += part
            if len(raw) > self._largest_bytes:
                raise TooLarge(f"expected at most {self._largest_bytes} bytes, got more")
        body = _decoded(bytes(raw), response.headers.get("content-encoding", ""), self._largest_bytes)
        return FeedAnswer(
            body=body,
            status=response.status_code,
            content_type=response.headers.get("content-type", ""),
            retry_after_s=retry_after_s(response.headers.get("retry-after"), self._now()),
        )


def _form(call: Call) -> Mapping[str, str] | None:
    return dict(call.form) if call.form is not None else None


def _reason(provider: str, fault: Exception, call: Call) -> str:
    return f"{provider} can't be reached: {type(fault).__name__} {scrubbed(str(fault), call.secrets)[:160]}".rstrip()


def _same_origin(url: httpx2.URL, location: str) -> httpx2.URL:
    """The redirect's target, if it stays with the feed: a key must not travel to somebody else."""
    try:
        target = url.join(location)
    except httpx2.InvalidURL:
        raise Outage("the feed redirects to no address") from None
    if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
        raise Outage(f"the feed redirects elsewhere ({target.scheme}://{target.host}): not followed")
    return target


def _decoded(raw: bytes, encoding: str, largest_bytes: int) -> bytes:
    """The body without its compression, never more than `largest_bytes` of it: a bomb is cut off while it unfolds."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return raw
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Malformed(f"expected gzip or no compression, got {encoding:.20}")
    unfolding = zlib.decompressobj(wbits=47 if encoding != "deflate" else 15)
    try:
        body = unfolding.decompress(raw, largest_bytes + 1)
    except zlib.error:
        raise Malformed("the answer's compression is broken") from None
    if len(body) > largest_bytes:
        raise TooLarge(f"expected at most {largest_bytes} bytes unpacked, got more")
    if not unfolding.eof:
        raise Outage("the answer was cut off")
    return body


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Retry-After as seconds or as a date; None where it is neither."""
    if value is None:
        return None
    try:
        seconds = float(int(value))
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(0.0, seconds), _LONGEST_RETRY_AFTER_S)
