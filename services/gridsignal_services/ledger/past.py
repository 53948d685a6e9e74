"""What is kept of requests that the book has let go of: enough to answer a repeat, and what later rules ask for.

Bounded: 32 bytes for each revision of an offer or request, one audience for each request; 43 bytes for each settlement
for as long as its rule lets readings correct it. Nothing else of it goes: whoever asks again is told the same however
late.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from gridsignal_services.access import Audience
from gridsignal_services.clock import from_micros, micros

_KEY, _AT, _DIGEST = 12, 7, 13
_RECORD = _KEY + _AT + _DIGEST


_SECOND = timedelta(seconds=1)


class Known(NamedTuple):
    """A revision that was logged once."""

    received_at: datetime
    digest: bytes
    """The beginning of its sha256."""

    def is_of(self, digest: str) -> bool:
        """Whether it had this sha256."""
        return bytes.fromhex(digest)[:_DIGEST] == self.digest


@dataclass(slots=True)
class Revisions:
    """Digest and time of revisions by identity, packed: a record has 32 bytes and lies in order in one of many shards.

    Each shard is short, so that taking one in moves little.
    """

    _shards: dict[int, bytes] = field(default_factory=dict)

    def add(self, identity: tuple[object, ...], digest: str, received_at: datetime) -> None:
        """Takes one in; of one identity the first stays."""
        shard, key = _place(identity)
        held = self._shards.get(shard, b"")
        at = _index(held, key)
        if held[at : at + _KEY] != key:
            record = key + micros(received_at).to_bytes(_AT) + bytes.fromhex(digest)[:_DIGEST]
            self._shards[shard] = held[:at] + record + held[at:]

    def find(self, identity: tuple[object, ...]) -> Known | None:
        """What is known of an identity."""
        shard, key = _place(identity)
        held = self._shards.get(shard, b"")
        at = _index(held, key)
        if held[at : at + _KEY] != key:
            return None
        received_us = int.from_bytes(held[at + _KEY : at + _KEY + _AT])
        return Known(from_micros(received_us), held[at + _KEY + _AT : at + _RECORD])

    def __len__(self) -> int:
        return sum(map(len, self._shards.values())) // _RECORD


class KnownSettlement(NamedTuple):
    """A settlement that stands, and whose order has left."""

    version: int
    ended_at: datetime
    corrected_until: datetime
    dispute_window: timedelta


_OF, _WINDOW, _VERSION = 12, 4, 1
_SETTLEMENT = _KEY + _OF + 2 * _AT + _WINDOW + _VERSION


@dataclass(slots=True)
class Settlements:
    """Settlements that stand, by order: enough to say whether a later version of one is the next. Packed as revisions
    are; those that no reading corrects any more go when another comes into their shard.
    """

    _shards: dict[int, bytes] = field(default_factory=dict)

    def add(self, order_id: str, of: tuple[object, ...], known: KnownSettlement, now: datetime) -> None:
        """Takes one in; `of` is what each of its versions says it is of."""
        shard, key = _place((order_id,))
        held = self._shards.get(shard, b"")
        records = (held[start : start + _SETTLEMENT] for start in range(0, len(held), _SETTLEMENT))
        kept = [each for each in records if each[:_KEY] != key and _settlement(each).corrected_until >= now]
        moments = (micros(moment).to_bytes(_AT) for moment in (known.ended_at, known.corrected_until))
        window, version = (known.dispute_window // _SECOND).to_bytes(_WINDOW), known.version.to_bytes(_VERSION)
        self._shards[shard] = b"".join(sorted([*kept, b"".join([key, _named(of), *moments, window, version])]))

    def find(self, order_id: str, of: tuple[object, ...]) -> KnownSettlement | None:
        """The settlement of an order, if it is of that."""
        shard, key = _place((order_id,))
        held = self._shards.get(shard, b"")
        at = _index(held, key, _SETTLEMENT)
        record = held[at : at + _SETTLEMENT]
        return _settlement(record) if record[: _KEY + _OF] == key + _named(of) else None

    def __len__(self) -> int:
        return sum(map(len, self._shards.values())) // _SETTLEMENT


def _named(of: tuple[object, ...]) -> bytes:
    return sha256("|".join(map(str, of)).encode()).digest()[:_OF]


def _settlement(record: bytes) -> KnownSettlement:
    rest = record[_KEY + _OF :]
    ended_us, until_us = (int.from_bytes(rest[at : at + _AT]) for at in (0, _AT))
    window_s = int.from_bytes(rest[2 * _AT : 2 * _AT + _WINDOW])
    return KnownSettlement(rest[-1], from_micros(ended_us), from_micros(until_us), window_s * _SECOND)


def _place(identity: tuple[object, ...]) -> tuple[int, bytes]:
    """The shard of an identity, and its key there."""
    found = sha256("|".join(map(str, identity)).encode()).digest()
    return int.from_bytes(found[:2]) >> 4, found[2 : 2 + _KEY]


def _index(held: bytes, key: bytes, length: int = _RECORD) -> int:
    """Where the key's record begins in a shard, or would."""
    starts = range(0, len(held), length)
    return length * bisect_left(starts, key, key=lambda start: held[start : start + _KEY])


@dataclass(slots=True)
class Past:
    """All that stays of what is over."""

    offers: Revisions = field(default_factory=Revisions)
    """By participant, offer id and revision."""
    requests: Revisions = field(default_factory=Revisions)
    """By request id and revision."""
    audiences: dict[str, Audience] = field(default_factory=dict)
    """Who could see a request, by its id; equal ones are one."""
    settlements: Settlements = field(default_factory=Settlements)
    """Those that stand, and that a later reading may still correct."""
    _shared: dict[Audience, Audience] = field(default_factory=dict)

    def knows_offer(self, key: tuple[str, str]) -> bool:
        """Whether this was an offer on a request that is let go of."""
        return self.offers.find((*key, 1)) is not None

    def keep_audience(self, request_id: str, audience: Audience) -> None:
        """Remembers who could see a request."""
        self.audiences[request_id] = self._shared.setdefault(audience, audience)

    def operator_of(self, request_id: str) -> str | None:
        """Whose request it was."""
        audience = self.audiences.get(request_id)
        return None if audience is None else next(iter(audience.operators), None)
