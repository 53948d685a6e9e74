"""What is kept of requests that the book has let go of: enough to answer a repeat, and what later rules ask for.

Bounded: 32 bytes for each revision of an offer or request, one audience for each request. Nothing of it goes: whoever
asks again is told the same however late.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from gridsignal_services.access import Audience
from gridsignal_services.clock import from_micros, micros

_KEY, _AT, _DIGEST = 12, 7, 13
_RECORD = _KEY + _AT + _DIGEST


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


def _place(identity: tuple[object, ...]) -> tuple[int, bytes]:
    """The shard of an identity, and its key there."""
    found = sha256("|".join(map(str, identity)).encode()).digest()
    return int.from_bytes(found[:2]) >> 4, found[2 : 2 + _KEY]


def _index(held: bytes, key: bytes) -> int:
    """Where the key's record begins in a shard, or would."""
    starts = range(0, len(held), _RECORD)
    return _RECORD * bisect_left(starts, key, key=lambda start: held[start : start + _KEY])


@dataclass(slots=True)
class Past:
    """All that stays of what is over."""

    offers: Revisions = field(default_factory=Revisions)
    """By participant, offer id and revision."""
    requests: Revisions = field(default_factory=Revisions)
    """By request id and revision."""
    audiences: dict[str, Audience] = field(default_factory=dict)
    """Who could see a request, by its id; equal ones are one."""
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
