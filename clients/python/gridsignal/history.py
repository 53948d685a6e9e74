"""What was published of prices and carbon over a period, and declared: asked of the dispatch door's REST interface.

The stream tells what holds now and what comes; the past by time is kept where operators ask. The request is one GET a
month on a thread of its own, so that it needs no further dependency and holds up no loop. It follows no redirect, for
the token is for this door alone.

Bounded: one answer of at most 64 MiB at a time. When full: ProtocolViolation. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from pydantic import TypeAdapter, ValidationError

from gridsignal.addresses import refuse_plaintext, split
from gridsignal.errors import NotPermitted, ProtocolViolation, Unauthorized, Unreachable, UsageError
from gridsignal.problems import Meaning, is_usage, meaning_of
from gridsignal.tls import explained
from gridsignal.tokens import NoToken, Tokens
from gridsignal_schemas.evidence import Evidence, Heads, Proof
from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import TOLERANT, BaselineFixed, Settlement
from gridsignal_schemas.reports import MatchingReport
from gridsignal_schemas.rules.products import Product
from gridsignal_schemas.values import Shape

Signal = Literal["prices", "carbon"]
_Point = TypeVar("_Point")
_Shape = TypeVar("_Shape", bound=Shape)
_MONTH, _WEEK = timedelta(days=31), timedelta(days=7)  # the most that one question may ask for
_MOST_BYTES = 64 * 1024 * 1024
_HINT = "such as http://127.0.0.1:8082 or https://operators.grid.example"


@dataclass(frozen=True, slots=True)
class PricePoint:
    """The price of one interval, as it was known."""

    zone: str
    product: str
    dataset: str
    provider: str
    currency: str
    starts_at: datetime
    ends_at: datetime
    price_per_mwh: Decimal | None
    """None: a gap in what was published."""
    status: str
    revision: int
    issued_at: datetime | None
    logged_at: datetime
    """When the log had it, in grid time."""


@dataclass(frozen=True, slots=True)
class CarbonPoint:
    """The carbon intensity of one interval, as it was known."""

    zone: str
    accounting: str
    scope: str
    mix: str
    dataset: str
    provider: str
    starts_at: datetime
    ends_at: datetime
    grams_per_kwh: Decimal | None
    """None: a gap in what was published."""
    status: str
    revision: int
    issued_at: datetime | None
    logged_at: datetime
    """When the log had it, in grid time."""


class Points(list[_Point]):
    """Points of one kind, which is known of none of them, too."""

    def __init__(self, of: type[_Point], found: Iterable[_Point]) -> None:
        super().__init__(found)
        self.of = of


@dataclass(frozen=True, slots=True)
class BaselineStretch:
    """A part of a period over which a site has declared one power."""

    starts_at: datetime
    ends_at: datetime
    power_w: int
    method: str
    declared_at: datetime
    """When the log had it: for requests that were made before, an earlier declaration counts."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """What was held to be wrong with a version of a settlement."""

    version: int
    reason_code: str
    text: str
    claimed: Decimal | None
    """The total that would be right."""
    actor: str
    received_at: datetime
    answer: str | None
    """Why the operator let the version stand. None: not so; a newer version is the answer, or none has come."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The newest version of what an order came to, and where it stands."""

    settlement: Settlement
    state: str
    """PROVISIONAL, FINAL, DISPUTED or SETTLED."""
    logged_at: datetime
    disputes: list[Dispute]
    disputable_until: datetime | None = None
    """Until when its participant may dispute this version. None: it is settled, or the door does not say."""


_SETTLED = TypeAdapter(list[Settled])
_PRICES = TypeAdapter(list[PricePoint])
_CARBON = TypeAdapter(list[CarbonPoint])
_STRETCHES = TypeAdapter(list[BaselineStretch])
_FIXED = TypeAdapter(list[BaselineFixed])
_PRODUCTS = TypeAdapter(list[Product])


class _Door(NamedTuple):
    """Where the questions go."""

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None


class Archive:
    """The dispatch door, as far as history goes."""

    def __init__(
        self,
        api: str | None,
        tokens: Tokens,
        *,
        context: ssl.SSLContext | None,
        timeout_s: float,
        allow_plaintext: bool,
    ) -> None:
        self._door = None if api is None else _door(api, context, allow_plaintext)
        self._tokens, self._timeout_s = tokens, timeout_s

    async def prices(self, zone: str, start: datetime, end: datetime, as_of: datetime | None) -> list[PricePoint]:
        """The best known prices of the intervals that touch [start, end)."""
        points = await self._points("prices", zone, start, end, as_of)
        return Points(PricePoint, _read(_PRICES, points))

    async def carbon(self, zone: str, start: datetime, end: datetime, as_of: datetime | None) -> list[CarbonPoint]:
        """The best known carbon intensities, likewise."""
        points = await self._points("carbon", zone, start, end, as_of)
        return Points(CarbonPoint, _read(_CARBON, points))

    async def _points(
        self, signal: Signal, zone: str, start: datetime, end: datetime, as_of: datetime | None
    ) -> list[dict[str, Any]]:
        also = {"as_of": as_of.isoformat()} if as_of is not None else {}
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        for since, until in _parts(start, end, _MONTH):
            for curve in await self._asked(signal, "curves", since, until, {"zone": zone} | also):
                named = {name: value for name, value in curve.items() if name not in ("points", "resolution_s")}
                for point in curve["points"]:  # an interval across two months comes with both
                    key = (*named.values(), curve["resolution_s"], point["starts_at"])
                    found[key] = named | point
        return list(found.values())

    async def baseline(self, site: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """What a site has declared of [start, end), in order of time: starts_at, ends_at, power_w and so on."""
        found: list[dict[str, Any]] = []
        for since, until in _parts(start, end, _WEEK):
            for stretch in await self._asked("baselines", "stretches", since, until, {"site": site}):
                if found and _goes_on(found[-1], stretch):
                    found[-1] |= {"ends_at": stretch["ends_at"]}
                else:
                    found.append(stretch)
        return found

    async def request(self, request_id: str) -> dict[str, Any]:
        """A request and where it stands, as the door answers it. Raises NotPermitted for one that may not be seen."""
        door = self._known_door()
        return await self._answer(door, f"{door.path}/v1/requests/{quote(request_id, safe='')}")

    async def outlook(self, request_id: str, site: str) -> dict[str, Any]:
        """What a site's baseline for a request would be made of. Raises NotPermitted for what may not be seen."""
        door = self._known_door()
        path = f"{door.path}/v1/requests/{quote(request_id, safe='')}/baseline?site={quote(site, safe='')}"
        return await self._answer(door, path)

    async def order(self, order_id: str) -> dict[str, Any]:
        """An order and where it stands, likewise."""
        door = self._known_door()
        return await self._answer(door, f"{door.path}/v1/orders/{quote(order_id, safe='')}")

    async def settlement(self, order_id: str) -> Settled:
        """What an order came to. Raises NotPermitted where nothing was written of it so far."""
        door = self._known_door()
        answer = await self._answer(door, f"{door.path}/v1/orders/{quote(order_id, safe='')}/settlement")
        settled: Settled = _told(_SETTLED, [answer], "settlements")[0]
        return settled

    async def settlements(
        self, start: datetime | None, end: datetime | None, **filters: str | None
    ) -> AsyncIterator[Settled]:
        """Those of orders that touch [start, end), or of all that are not long settled; page by page."""
        named: dict[str, str] = {name: value for name, value in filters.items() if value is not None}
        named |= {name: when.isoformat() for name, when in (("from", start), ("to", end)) if when is not None}
        async for page in self._pages("settlements", "settlements", named):
            for each in _told(_SETTLED, page, "settlements"):
                yield each

    async def fixed_baselines(self, request_id: str) -> list[BaselineFixed]:
        """Those that were fixed for a request when its gate had closed, of one's own sites."""
        pages = self._pages(f"requests/{quote(request_id, safe='')}/baselines", "baselines", {})
        return [each async for page in pages for each in _told(_FIXED, page, "fixed baselines")]

    async def products(self) -> list[Product]:
        """Those that operators ask for by name."""
        door = self._known_door()
        answer = await self._answer(door, f"{door.path}/v1/products")
        found: list[Product] = _told(_PRODUCTS, answer.get("products"), "products")
        return found

    async def _pages(self, path: str, holds: str, named: dict[str, str]) -> AsyncIterator[list[dict[str, Any]]]:
        """A list, page by page."""
        door = self._known_door()
        while True:
            answer = await self._answer(door, f"{door.path}/v1/{path}?{urlencode(named)}")
            if not isinstance(found := answer.get(holds), list):
                raise ProtocolViolation(f"expected the dispatch door's answer with {holds}, got that of something else")
            yield found
            if (following := answer.get("next")) is None:
                return
            named = named | {"after": str(following)}

    async def matching(self, month: str, **filters: str | None) -> MatchingReport:
        """A month's report, as the door answers it."""
        answer = await self._named(f"reports/matching/{quote(month, safe='')}", filters)
        return _shaped(MatchingReport, answer, "a report")

    async def heads(self, zone: str, limit: int, since: int | None) -> list[Evidence]:
        """Signed heads of a zone's log, the newest first."""
        answer = await self._named("heads", {"zone": zone, "limit": limit, "since": since})
        return _shaped(Heads, answer, "heads").heads

    async def proof(self, **named: str | int | None) -> Proof:
        """What proves a record."""
        return _shaped(Proof, await self._named("proofs", named), "a proof")

    async def _named(self, path: str, named: Mapping[str, str | int | None]) -> dict[str, Any]:
        door = self._known_door()
        query = urlencode({name: value for name, value in named.items() if value is not None})
        return await self._answer(door, f"{door.path}/v1/{path}?{query}")

    async def readings(self, site: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """The meter readings that touch [start, end) and count, of a week at most, as the door answers them."""
        return await self._asked("readings", "readings", start, end, {"site": site})

    async def declared(self, site: str, start: datetime, end: datetime) -> list[BaselineStretch]:
        """The same, as the SDK hands it on."""
        return _read(_STRETCHES, await self.baseline(site, start, end))

    def _known_door(self) -> _Door:
        if self._door is None:
            raise UsageError(f"expected connect(api=...), the dispatch door's address {_HINT}, in order to ask history")
        return self._door

    async def _answer(self, door: _Door, path: str) -> dict[str, Any]:
        """One answer. A token that is not taken any more is asked for anew, once."""
        try:
            token = await self._tokens.current()
            try:
                return await asyncio.to_thread(_get, door, path, token, self._timeout_s)
            except Unauthorized:
                if not self._tokens.refreshable:
                    raise
            return await asyncio.to_thread(_get, door, path, await self._tokens.fresh(), self._timeout_s)
        except NoToken as error:
            raise Unreachable(f"no token for the dispatch door: {error}") from error
        except Unauthorized as error:
            raise Unauthorized(f"{error}: {self._tokens.expired}") if self._tokens.expired else error from None

    async def _asked(
        self, what: str, holds: str, since: datetime, until: datetime, named: dict[str, str]
    ) -> list[dict[str, Any]]:
        """The list that one answer holds."""
        door = self._known_door()
        query = urlencode(named | {"from": since.isoformat(), "to": until.isoformat()})
        answer = await self._answer(door, f"{door.path}/v1/{what}?{query}")
        if not isinstance(found := answer.get(holds), list):
            raise ProtocolViolation(f"expected the dispatch door's answer with {holds}, got that of something else")
        return found


def _shaped(shape: type[_Shape], answer: dict[str, Any], what: str) -> _Shape:
    try:
        return shape.model_validate_json(json.dumps(answer), context=TOLERANT, extra="ignore")
    except ValidationError as error:
        raise ProtocolViolation(f"expected {what} as the contract has it: {error.error_count()} faults") from error


def _parts(start: datetime, end: datetime, longest: timedelta) -> Iterator[tuple[datetime, datetime]]:
    if start.tzinfo is None or end.tzinfo is None or not start < end:
        raise UsageError("expected a start before the end, both with their offset from UTC")
    while start < end:
        until = min(start + longest, end)
        yield start, until
        start = until


def _goes_on(last: dict[str, Any], stretch: dict[str, Any]) -> bool:
    """Whether it is one with the last, cut in two by the question."""
    edges = {"starts_at": last.get("ends_at"), "ends_at": stretch.get("ends_at")}
    return stretch == last | edges


def _door(api: str, context: ssl.SSLContext | None, allow_plaintext: bool) -> _Door:
    parts = split(api, ("http", "https"), _HINT)
    if parts.query or parts.fragment:
        raise UsageError("expected an api address without query or fragment")
    host = parts.hostname or ""
    if parts.scheme == "http":
        refuse_plaintext(host, "https://", allowed=allow_plaintext, how="allow_plaintext=True")
        return _Door(host, parts.port or 80, parts.path.rstrip("/"), None)
    return _Door(host, parts.port or 443, parts.path.rstrip("/"), context or ssl.create_default_context())


def _get(door: _Door, path: str, token: str, timeout_s: float) -> dict[str, Any]:
    if door.tls is None:
        connection = http.client.HTTPConnection(door.host, door.port, timeout=timeout_s)
    else:
        connection = http.client.HTTPSConnection(door.host, door.port, timeout=timeout_s, context=door.tls)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}", "Accept": "application/json"})
        response = connection.getresponse()
        body = response.read(_MOST_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        reason = explained(error) or type(error).__name__
        raise Unreachable(f"no dispatch door at {door.host}:{door.port}: {reason}") from error
    finally:
        connection.close()
    return _answered(response.status, body)


def _answered(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body) if len(body) <= _MOST_BYTES else None
    except ValueError:
        answer = None
    if status == 200 and isinstance(answer, dict):
        return answer
    raise _refused(status, answer)


def _refused(status: int, answer: Any) -> Exception:
    detail = answer.get("detail") if isinstance(answer, dict) else None
    faults = answer.get("errors") if isinstance(answer, dict) else None
    details = [_detail(each) for each in faults if isinstance(each, dict)] if isinstance(faults, list) else []
    match meaning_of(status, answer):
        case Meaning.TOKEN:
            return Unauthorized("the dispatch door does not take the token")
        case Meaning.NOT_YOURS:
            why = [Detail(code="NOT_FOUND", message=detail)] if detail else []
            return NotPermitted("forbidden", why, what="the question")
        case Meaning.QUESTION if is_usage(details):
            return NotPermitted("forbidden", details, what="the question")
        case Meaning.QUESTION:
            return UsageError(f"the dispatch door can't answer this: {detail}")
        case Meaning.AGAIN:
            return Unreachable(f"the dispatch door is busy or away ({status}): try again")
    return ProtocolViolation(f"expected the dispatch door's answer, got status {status} of something else")


def _detail(fault: dict[str, Any]) -> Detail:
    code, pointer, message = (str(fault.get(name, "")) for name in ("code", "pointer", "message"))
    return Detail(code=code, pointer=pointer, message=message)


def _told(adapter: TypeAdapter[list[Any]], found: list[dict[str, Any]] | None, what: str) -> list[Any]:
    """Records, as a newer door may have them."""
    try:
        return adapter.validate_json(json.dumps(found), context=TOLERANT, extra="ignore")
    except ValidationError as error:
        message = f"expected {what} as the contract has them: {error.error_count()} faults"
        raise ProtocolViolation(message) from error


def _read(adapter: TypeAdapter[list[Any]], points: list[dict[str, Any]]) -> list[Any]:
    try:
        return adapter.validate_python(points)
    except ValidationError as error:
        raise ProtocolViolation(f"expected figures as the contract has them: {error.error_count()} faults") from error
