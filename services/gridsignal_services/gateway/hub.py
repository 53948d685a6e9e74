"""Who gets what: groups of subscriptions that see exactly the same bytes, which are therefore built once.

A group is everything that decides what a member sees: stream, filter, mode, encoding and visibility. All groups of a
stream stand at the stream's head; who is behind catches up outside and joins when it stands there too.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.frames import Filter, PositionFrame
from gridsignal_services.access import SIGNAL_READ, Entitlements, Principal, may_see
from gridsignal_services.gateway.history import Entry
from gridsignal_services.gateway.rendering import Encoding, rendered, signal_avro, signal_json

Mode = Literal["every", "latest"]
_SUB_BYTES = 9
_FOR_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A visibility class: everybody in it sees the same records of a stream."""

    principal: Principal
    entitlements: Entitlements

    def may_see(self, entry: Entry) -> bool:
        return may_see(self.principal, entry.audience, self.entitlements)


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What decides which bytes a member gets."""

    stream: str
    zones: frozenset[str] | None
    facets: frozenset[str] | None
    """Products on prices, accountings on carbon."""
    mode: Mode
    encoding: Encoding
    viewer: Viewer

    def wants(self, entry: Entry) -> bool:
        """Filter and visibility; a zone filter never hides what is addressed to one's own site."""
        if self.facets is not None and entry.facet not in self.facets:
            return False
        if self.zones is not None and entry.zone not in self.zones:
            own = self.viewer.entitlements.sites
            if entry.audience.sites.isdisjoint(own):
                return False
        return self.viewer.may_see(entry)


def sub_of(key: GroupKey, secret: bytes) -> str:
    """The name of a group's subscriptions: the same for the same key, whether or not anybody else has it now."""
    who, theirs = key.viewer.principal, key.viewer.entitlements
    sets = (key.zones, key.facets, who.scopes, theirs.zones, theirs.sites)
    parts = [key.stream, key.mode, key.encoding, who.role, who.organisation]
    parts += ["*" if names is None else ",".join(sorted(names)) for names in sets]
    digest = hashlib.blake2b("\n".join(parts).encode(), key=secret, digest_size=_SUB_BYTES, person=b"gs-sub").digest()
    return base64.urlsafe_b64encode(digest).decode()


def group_key(
    stream: str, wanted: Filter, mode: Mode, encoding: Encoding, who: Principal, entitled: Entitlements
) -> GroupKey:
    """The group of a subscription: what does not change the bytes is left out, so that groups are few and large."""
    facets = {"prices": wanted.products, "carbon": wanted.accounting}.get(stream)
    return GroupKey(
        stream,
        None if wanted.zones is None else frozenset(wanted.zones),
        None if facets is None else frozenset(facets),
        mode,
        encoding,
        _viewer(stream, who, entitled),
    )


def _viewer(stream: str, who: Principal, entitled: Entitlements) -> Viewer:
    scopes = who.scopes & {SIGNAL_READ}
    if stream == "dispatch":
        return Viewer(Principal(who.role, who.organisation, "", scopes, _FOR_EVER), entitled)
    return Viewer(Principal("service", "", "", scopes, _FOR_EVER), Entitlements(zones=entitled.zones))


class Prepared(NamedTuple):
    """One message of a group, ready for the socket."""

    message: bytes
    series: str | None = None
    """In `latest`, of which series it is the newest."""
    is_position: bool = False
    schema_id: int | None = None
    """The schema an Avro client must have seen first."""
    cursor: str | None = None
    """Where to go on from after it."""


class Batch:
    """What a group sends in one tick: one chunk of bytes for everyone who keeps up.

    Bounded by a tick's messages. When full: never. Conflates: nothing here, see backlog.
    """

    __slots__ = ("_chunk", "messages", "schema_ids", "sub")

    def __init__(self, sub: str, messages: list[Prepared]) -> None:
        self.sub = sub
        self.messages = messages
        self.schema_ids = frozenset(m.schema_id for m in messages if m.schema_id is not None)
        self._chunk: bytes | None = None

    @property
    def chunk(self) -> bytes:
        """All messages joined, once for all members."""
        if self._chunk is None:
            self._chunk = b"".join([prepared.message for prepared in self.messages])
        return self._chunk


class Member(Protocol):
    """A connection, as the hub knows it."""

    def accept(self, batch: Batch) -> None: ...


class Group:
    """Members that see the same bytes, and the messages of this tick.

    Bounded by the connections. When full: never. Conflates: nothing here, see backlog.
    """

    def __init__(self, key: GroupKey, sub: str) -> None:
        self.key = key
        self.sub = sub
        self.members: dict[Member, None] = {}
        self.reserved = 0
        """Connections that are about to join."""
        self.pending: list[Prepared] = []
        self.told_at_s = 0.0
        """When the members last got a cursor."""
        self.unseen = 0
        """Records that passed since then without concerning the group."""
        self._order: list[Member] | None = None

    def signal(self, entry: Entry, cursor: str | None) -> Prepared:
        """An entry as this group's message; without a cursor inside a snapshot."""
        series = entry.series if self.key.mode == "latest" and cursor is not None else None
        if self.key.encoding == "avro":
            value = signal_avro(self.sub, cursor, entry.framed())
            return Prepared(value, series, schema_id=entry.schema_id, cursor=cursor)
        signal = signal_json(self.key.encoding, self.sub, cursor, entry.name, entry.body())
        return Prepared(signal, series, cursor=cursor)

    def position(self, cursor: str) -> Prepared:
        frame = PositionFrame(sub=self.sub, cursor=cursor)
        return Prepared(rendered(self.key.encoding, frame), is_position=True, cursor=cursor)

    def distribute(self, turn: int) -> int:
        """Gives this tick's messages to every member, beginning with another one each time; returns deliveries."""
        batch = Batch(self.sub, self.pending)
        self.pending = []
        if self._order is None:
            self._order = list(self.members)
        order = self._order
        start = turn % len(order) if order else 0
        for member in order[start:] if start else order:
            member.accept(batch)
        for member in order[:start]:
            member.accept(batch)
        return len(order) * len(batch.messages)

    def add(self, member: Member) -> None:
        self.members[member] = None
        self._order = None

    def remove(self, member: Member) -> None:
        self.members.pop(member, None)
        self._order = None


class Hub:
    """All groups, by stream.

    Bounded by the connections' subscriptions: a group without members or candidates is forgotten.
    When full: never. Conflates: nothing here, see backlog.
    """

    def __init__(self, secret: bytes, *, position_every: int = 1000) -> None:
        """`secret` names the groups of this process."""
        self._secret = secret
        self._position_every = position_every
        self._groups: dict[str, dict[GroupKey, Group]] = {name: {} for name, t in TOPICS.items() if t.subscribable}
        self._dirty: dict[Group, None] = {}
        self._turn = 0

    def reserve(self, key: GroupKey) -> Group:
        """The group of this key, which stays until it is released as often as it was reserved."""
        groups = self._groups[key.stream]
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group(key, sub_of(key, self._secret))
        group.reserved += 1
        return group

    def release(self, group: Group) -> None:
        """Gives a reservation back."""
        group.reserved -= 1
        self._forget_if_empty(group)

    def attach(self, group: Group, member: Member) -> None:
        """From now on; what the group has not yet sent belongs to those before."""
        if group.pending:
            self._dirty.pop(group, None)
            group.distribute(self._turn)
        group.add(member)

    def detach(self, group: Group, member: Member) -> None:
        """From now on nothing more."""
        group.remove(member)
        self._forget_if_empty(group)

    def _forget_if_empty(self, group: Group) -> None:
        if not group.members and not group.reserved:
            self._groups[group.key.stream].pop(group.key, None)
            self._dirty.pop(group, None)

    def publish(self, stream: str, entry: Entry, cursor: Callable[[], str], now_s: float) -> bool:
        """Prepares an entry for every group that wants it; whether there is anything to flush."""
        for group in self._groups[stream].values():
            if not group.members:
                continue
            if entry.is_deliverable and group.key.wants(entry):
                self._prepare(group, group.signal(entry, cursor()), now_s)
                continue
            group.unseen += 1
            # on dispatch a position out of turn would count what others do
            if group.unseen >= self._position_every and stream != "dispatch":
                self._prepare(group, group.position(cursor()), now_s)
        return bool(self._dirty)

    def beat(self, stream: str, cursor: Callable[[], str], now_s: float, every_s: float) -> bool:
        """Tells the position to every group that has heard none for `every_s`: the heartbeat."""
        for group in self._groups[stream].values():
            if group.members and now_s - group.told_at_s >= every_s:
                self._prepare(group, group.position(cursor()), now_s)
        return bool(self._dirty)

    def _prepare(self, group: Group, prepared: Prepared, now_s: float) -> None:
        group.pending.append(prepared)
        group.told_at_s = now_s
        group.unseen = 0
        self._dirty[group] = None

    def flush(self) -> int:
        """Hands out everything prepared since the last flush; returns the number of deliveries."""
        dirty, self._dirty = self._dirty, {}
        self._turn += 1
        return sum(group.distribute(self._turn) for group in dirty if group.pending)

    def groups(self, stream: str) -> list[Group]:
        return list(self._groups[stream].values())
