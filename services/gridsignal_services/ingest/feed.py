"""The shape of a feed: what we ask, what comes back, and the two pure functions every provider consists of.

FeedError
├── NotYetAvailable   the feed is well, the figures are not out yet: ask again later, nothing is wrong
├── Outage            the feed is away or broken: back off, use the next source
├── Banned            we asked too often: wait as long as it says
├── Refused           the credentials or the entitlement do not suffice: a person has to act
├── TooLarge          we asked for more than one answer may hold, or the answer is larger than we read
├── Malformed         an answer that is not what the feed documents: the batch is rejected
└── Unsupported       the feed does not know this zone or signal
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from gridsignal_schemas.values import Record
from gridsignal_services.ingest.left_out import LeftOutRows
from gridsignal_services.ingest.markets import DEFAULTS, Markets
from gridsignal_services.ingest.overlaps import distinct
from gridsignal_services.ingest.said import Cause, cause_in, said_in, titled
from gridsignal_services.ingest.schedule import MARKET_TIME, Cadence


class FeedError(Exception):
    """What went wrong with a feed; the subclass says whose fault it is and what to do now."""

    retriable = False


class NotYetAvailable(FeedError):
    """The figures are not published yet. Ten faces at the feeds, one here."""

    retriable = True


class Outage(FeedError):
    """The feed is away, slow or answers with an error of its own."""

    retriable = True

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Banned(FeedError):
    """Too many requests; `retry_after_s` where the feed says how long to wait."""

    retriable = True

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(FeedError):
    """The credentials are wrong, expired, or do not cover what was asked; an expired token can be renewed."""

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


class TooLarge(FeedError):
    """More was asked, or answered, than one document may hold."""


class Malformed(FeedError):
    """The answer is not what the feed documents."""


class Unsupported(FeedError):
    """The feed has no such zone or signal."""


class Signal(StrEnum):
    """What a feed is asked for."""

    PRICE = "price"
    CARBON = "carbon"
    FORECAST = "forecast"
    ALERT = "alert"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to a feed: a zone, a signal and a half-open window in UTC.

    Without a window (a saved answer is parsed) nothing is clipped.
    """

    zone: str | None
    signal: Signal | None
    now: datetime
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    page: int = 0
    token: str | None = field(default=None, repr=False)
    """A short-lived token that `login` brought."""
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What the operator of this service configured for the provider: addresses, names, secrets."""
    markets: Markets = DEFAULTS
    beside: tuple[FeedAnswer, ...] = ()
    """The answers to `Provider.beside`."""
    left_out: LeftOutRows = field(default_factory=LeftOutRows, compare=False)
    """What a parser could not read of an answer whose rest it read, in words."""

    @property
    def span(self) -> tuple[datetime | None, datetime | None]:
        """Where series are clipped."""
        return self.starts_at, self.ends_at

    def window(self) -> tuple[datetime, datetime]:
        """The window, for those requests that need one."""
        if self.starts_at is None or self.ends_at is None:
            raise Unsupported("expected a window to ask for, got none")
        return self.starts_at, self.ends_at


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, as data. `secret_params` and headers never reach a log or an error."""

    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    secret_params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    form: Mapping[str, str] | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text in this call that must not be seen."""
        hidden = [*self.secret_params.values(), *self.headers.values(), *(self.form or {}).values()]
        return tuple(value for value in hidden if value)


@dataclass(frozen=True, slots=True)
class FeedAnswer:
    """What came back, any status; also a saved body (then status 200)."""

    body: bytes
    status: int = 200
    content_type: str = ""
    retry_after_s: float | None = None

    def text(self) -> str:
        """The body as text, whatever its bytes are; for messages and free-text feeds."""
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Provider:
    """A feed's knowledge: two pure functions and what they need around them.

    `request(ask)` says which call answers the question, `parse(answer, ask)` which records an answer holds.
    Records come with revision 1 and observed_at = ask.now; revisions.py knows what was published before.
    """

    request: Callable[[Ask], Call]
    parse: Callable[[FeedAnswer, Ask], list[Record]]
    cadence: Mapping[Signal, Cadence]
    """The signals this feed has, and when each is due."""
    needs: tuple[str, ...] = ()
    """Settings without which it can't be asked."""
    names_zone: bool = True
    """Whether an answer says which zone it is about."""
    per_minute: int = 30
    """Requests a minute we allow ourselves."""
    window_days: int = 7
    """The longest window one call may ask for."""
    days: ZoneInfo = MARKET_TIME
    """At whose midnights its series are cut: a window that begins elsewhere would make others of them."""
    one_year: bool = False
    """A window across New Year loses figures: ask for each side."""
    login: Callable[[Ask], Call] | None = None
    """The call that brings a short-lived token, for feeds that need one."""
    token: Callable[[FeedAnswer, Ask], tuple[str, datetime]] | None = None
    """Reads it: the token and when it expires."""
    next_page: Callable[[FeedAnswer, Ask], int | None] | None = None
    """The page to ask for next; None after the last."""
    merge: Callable[[Sequence[FeedAnswer]], FeedAnswer] | None = None
    """All pages as one answer, for feeds whose pages can't be read one by one."""
    beside: Callable[[Sequence[FeedAnswer], Ask], list[Call]] | None = None
    """What else has to be asked to understand all pages: descriptions that answers only point to."""
    complete: bool = False
    """An answer lists everything that is in force: what is missing from it has been cancelled."""


BODY_FAULTS = (ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError, RecursionError)
"""What a parser raises whose assumption a body breaks."""


def read(provider: Provider, answer: FeedAnswer, ask: Ask) -> list[Record]:
    """All records of an answer, or a FeedError: whatever the bytes are, nothing else is raised.

    An answer of which nothing can be read is Malformed, with the first of its faults; one that is an error of the feed
    is what its own words say, whatever its status.
    """
    before = len(ask.left_out)
    try:
        found = distinct(provider.parse(replace(answer, body=answer.body.removeprefix(BOM_UTF8)), ask), ask.left_out)
    except (NotYetAvailable, Malformed, Unsupported) as fault:
        if not isinstance(fault, NotYetAvailable) or len(ask.left_out) == before:
            raise _in_its_words(answer, fault) from None
        found = []
    except FeedError:
        raise
    except BODY_FAULTS as fault:
        # a body that breaks a parser's assumption is the body's fault; the batch is rejected as a whole
        malformed = Malformed(f"the answer is not what the feed documents: {first_line(fault)}")
        raise _in_its_words(answer, malformed) from None
    if not found and len(ask.left_out) > before:
        raise Malformed(str(ask.left_out))
    return found


def _in_its_words(answer: FeedAnswer, fault: FeedError) -> FeedError:
    """What an answer without figures is by what it says for itself; the fault that was found in it where it is mute."""
    said = said_in(answer.body)
    text = f"the feed answers with status {answer.status}{said or titled(answer.body)}"
    match cause_in(text.partition(":")[2]):
        case Cause.TOO_OFTEN:
            return Banned(text, answer.retry_after_s)
        case Cause.AWAY:
            return Outage(text, answer.retry_after_s)
        case Cause.NOT_ENTITLED:
            return Refused(text)
        case None:
            fault.args = (f"{fault}{'' if said[2:] in str(fault) else said}", *fault.args[1:])
            return fault


def first_line(fault: BaseException) -> str:
    """What broke a parser, on one line."""
    if isinstance(fault, ValidationError):
        first = fault.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return f"{where}: {first['msg']:.100}, got {first['input']!r:.40}"
    if isinstance(fault, KeyError):
        return f"expected {fault.args[0]!s:.40}, got none"
    lines = str(fault).splitlines() or [""]
    return f"{type(fault).__name__}: {lines[0]:.120}"


def refuse_status(answer: FeedAnswer) -> None:
    """Raises what an HTTP status means where the feed has no meaning of its own for it."""
    status, said = answer.status, said_in(answer.body)
    if 200 <= status < 300:
        if status == 204 or not answer.body.strip():
            raise NotYetAvailable(f"expected figures, got an empty answer (status {status})")
        return
    if status == 429:
        raise Banned(f"too many requests (status 429{said})", answer.retry_after_s)
    if status in (401, 403):
        raise Refused(f"the feed refuses our credentials (status {status}{said})")
    if status == 413:
        raise TooLarge("the feed finds the request too large (status 413)")
    if status >= 500 or status in (408, 425):
        raise Outage(f"the feed answers status {status}{said}", answer.retry_after_s)
    raise Malformed(f"expected status 200, got {status}{said}")


def newest(records: Iterable[Record]) -> datetime | None:
    """The end of the last interval in a batch of series; None where there is none."""
    ends = [end for record in records if isinstance(end := getattr(record, "ends_at", None), datetime)]
    return max(ends, default=None)
