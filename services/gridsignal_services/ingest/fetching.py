"""One question to one provider over HTTP: login where it needs one, all pages, all parts of a long window."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from gridsignal_schemas.messages import Record
from gridsignal_services.ingest.feed import (
    Ask,
    Call,
    FeedAnswer,
    FeedError,
    Malformed,
    NotYetAvailable,
    Outage,
    Provider,
    Refused,
    Unsupported,
    read,
)
from gridsignal_services.ingest.left_out import LeftOutRows
from gridsignal_services.ingest.markets import DEFAULTS, Markets
from gridsignal_services.ingest.schedule import cut
from gridsignal_services.ingest.scrub import scrubbed
from gridsignal_services.ingest.transport import Http

LARGEST_PAGES = 100
_TOKEN_MARGIN = timedelta(seconds=60)


class Fetching:
    """Asks providers. Every failure is a FeedError without a secret in it.

    Bounded: LARGEST_PAGES pages a question, one token per provider. When full: Malformed. Conflates: nothing.
    """

    def __init__(
        self,
        http: Http,
        providers: Mapping[str, Provider],
        settings: Mapping[str, Mapping[str, str]] | None = None,
        keep: Callable[[str, FeedAnswer], None] | None = None,
        markets: Markets = DEFAULTS,
    ) -> None:
        self._http = http
        self._providers = providers
        self._settings = settings or {}
        self._keep = keep or _forget
        self._markets = markets
        self._tokens: dict[str, tuple[str, datetime]] = {}
        self._logins: dict[str, asyncio.Lock] = {}

    async def fetch(self, name: str, ask: Ask) -> list[Record]:
        """All records for a question. Raises FeedError; NotYetAvailable only if no part of the window had any."""
        provider, ask = self._prepared(name, ask)
        if ask.starts_at is None or ask.ends_at is None:
            return await self._pages(name, provider, ask)
        found: list[Record] = []
        missing: NotYetAvailable | None = None
        for starts_at, ends_at in cut(ask.starts_at, ask.ends_at, provider.window_days, at_new_year=provider.one_year):
            try:
                found += await self._pages(name, provider, replace(ask, starts_at=starts_at, ends_at=ends_at))
            except NotYetAvailable as fault:
                missing = fault
        if missing is not None and not found:
            raise missing
        return found

    def _prepared(self, name: str, ask: Ask) -> tuple[Provider, Ask]:
        provider, settings = self._providers[name], self._settings.get(name, {})
        absent = [key for key in provider.needs if not settings.get(key)]
        if absent:
            raise Refused(f"{name} needs the settings {', '.join(absent)}")
        return provider, replace(ask, settings=settings, markets=self._markets)

    async def _pages(self, name: str, provider: Provider, ask: Ask) -> list[Record]:
        found: list[Record] = []
        answers: list[FeedAnswer] = []
        # pages that are read as one are looked at alone for refusals, not for what can't be read of them
        page_ask = ask if provider.merge is None else replace(ask, left_out=LeftOutRows())
        for _ in range(LARGEST_PAGES):
            answer, records = await self._answered(name, provider, page_ask)
            found += records
            answers.append(answer)
            page = provider.next_page(answer, page_ask) if provider.next_page else None
            if page is None:
                return found if provider.merge is None else await self._together(name, provider, answers, ask)
            page_ask = replace(page_ask, page=page)
        raise Malformed(f"expected at most {LARGEST_PAGES} pages of {name}, got more")

    async def _together(self, name: str, provider: Provider, answers: list[FeedAnswer], ask: Ask) -> list[Record]:
        """All pages as one, with what they point to."""
        assert provider.merge is not None
        try:
            ask_with_token = replace(ask, token=await self._token(name, provider, ask))
            calls = provider.beside(answers, ask_with_token) if provider.beside else []
            beside = [await self._beside(name, provider, call) for call in calls]
            return read(provider, provider.merge(answers), replace(ask_with_token, beside=tuple(beside)))
        except FeedError as fault:
            raise _without_secrets(fault, ask, provider) from None

    async def _beside(self, name: str, provider: Provider, call: Call) -> FeedAnswer:
        """A description, or a status that says that it is away: it is missed by what needs it alone."""
        try:
            return await self._http.fetch(call, provider=name, per_minute=provider.per_minute)
        except Outage:
            return FeedAnswer(b"", status=503)

    async def _answered(self, name: str, provider: Provider, ask: Ask) -> tuple[FeedAnswer, list[Record]]:
        """One page; an expired token is renewed once, a second refusal stands."""
        for attempt in (1, 2):
            try:
                ask_with_token = replace(ask, token=await self._token(name, provider, ask))
                answer = await self._asked(name, provider, ask_with_token)
                return answer, _of_page(provider, answer, ask_with_token)
            except Refused as fault:
                if not fault.expired or attempt == 2 or name not in self._tokens:
                    raise _without_secrets(fault, ask, provider) from None
                del self._tokens[name]
            except FeedError as fault:
                raise _without_secrets(fault, ask, provider) from None
        raise AssertionError("unreachable")

    async def _asked(self, name: str, provider: Provider, ask: Ask) -> FeedAnswer:
        answer = await self._http.fetch(provider.request(ask), provider=name, per_minute=provider.per_minute)
        self._keep(name, answer)
        return answer

    async def _token(self, name: str, provider: Provider, ask: Ask) -> str | None:
        if provider.login is None or provider.token is None:
            return None
        async with self._logins.setdefault(name, asyncio.Lock()):
            held = self._tokens.get(name)
            if held is None or held[1] - _TOKEN_MARGIN <= ask.now:
                call = provider.login(ask)
                answer = await self._http.fetch(call, provider=name, per_minute=provider.per_minute)
                self._tokens[name] = provider.token(answer, ask)
            return self._tokens[name][0]


def _of_page(provider: Provider, answer: FeedAnswer, ask: Ask) -> list[Record]:
    """What one page holds. Of pages that are read as one a page may be all unreadable, while another is not."""
    try:
        return read(provider, answer, ask)
    except (Malformed, Unsupported):
        if provider.merge is None or provider.next_page is None or provider.next_page(answer, ask) is None:
            raise
        return []


def _forget(name: str, answer: FeedAnswer) -> None:
    """Nobody keeps raw answers unless asked to."""


def _without_secrets(fault: FeedError, ask: Ask, provider: Provider) -> FeedError:
    # a feed may echo our key in its own message
    hidden = [ask.settings[key] for key in provider.needs if key in ask.settings]
    fault.args = (scrubbed(str(fault), hidden), *fault.args[1:])
    return fault
