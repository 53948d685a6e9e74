"""Who gets what: groups of subscriptions that see exactly the same bytes, which are therefore built once.

A group is everything that decides what a member sees: stream, filter, mode, encoding and visibility. All groups of a
stream stand at the stream's head; who is behind catches up outside and joins when it stands there too.

A record is only noted when it comes. It is rendered and handed out afterwards, piece by piece, so that neither many
groups nor many members keep the event loop from others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from gridsignal_schemas.catalog import TOPICS
from gridsignal_schemas.frames import PositionFrame
from gridsignal_services.gateway.groupkey import GroupKey, Name, names_of, sub_of
from gridsignal_services.gateway.history import StreamEntry
from gridsignal_services.gateway.rendering import rendered, signal_avro, signal_json

_A_PIECE = 32
"""Members that are handed a batch at once."""
_RENDERED_BYTES = 16_384
"""Messages rendered at once, about a millisecond."""


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
    """What a group sends in one tick: one chunk of bytes for everyone who keeps up."""

    __slots__ = ("chunk", "messages", "schema_ids", "sub")

    def __init__(self, sub: str, messages: list[Prepared]) -> None:
        self.sub = sub
        self.messages = messages
        self.schema_ids = frozenset(m.schema_id for m in messages if m.schema_id is not None)
        self.chunk = b"".join([prepared.message for prepared in messages])
        """All messages joined, once for all members."""


class Member(Protocol):
    """A connection, as the hub knows it."""

    def accept(self, batch: Batch) -> None:
        """Messages of this tick; more may follow."""

    def accept_last(self, batch: Batch) -> None:
        """Likewise; no group has more for it in this tick."""


class Group:
    """Members that see the same bytes, and what waits to be handed to them.

    What waits is what came in one tick; who can't take it has a backlog.
    """

    def __init__(self, key: GroupKey, sub: str) -> None:
        self.key = key
        self.sub = sub
        self.members: dict[Member, int] = {}
        """Each with the first of the group's batches that it gets."""
        self.reserved = 0
        """Connections that are about to join."""
        self.told_at_s = 0.0
        """When the members last got a cursor."""
        self.told_after = 0
        """How many records of the stream had passed then."""
        self._pending: list[tuple[StreamEntry | None, str]] = []
        """What has come since the last batch: an entry and its cursor; without an entry a position."""
        self._closed: deque[tuple[int, list[tuple[StreamEntry | None, str]]]] = deque()
        """Batches that are on their way, by number, each for those who were members when it was closed."""
        self._number = 0
        """Of the batch that is pending."""
        self._joined = 0
        """The first batch that all of them get."""
        self._order: list[Member] | None = None
        """Them all, until one comes or goes."""

    def signal(self, entry: StreamEntry, cursor: str | None) -> Prepared:
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

    def note(self, entry: StreamEntry | None, cursor: str) -> None:
        """An entry, or the position alone, for all who are members now."""
        self._pending.append((entry, cursor))

    def distribute(self, turn: int, *, is_last: bool) -> Iterator[int]:
        """Gives what waits to its members, beginning with another one each time; yields the deliveries piece by piece:
        none, where more has to be rendered first. `is_last`: no other group follows in this tick.

        Members may come and go in between.
        """
        self._close()
        while self._closed:
            number, noted = self._closed.popleft()
            messages: list[Prepared] = []
            left = _RENDERED_BYTES
            for entry, cursor in noted:
                messages.append(self.position(cursor) if entry is None else self.signal(entry, cursor))
                left -= len(messages[-1].message)
                if left <= 0:
                    left = _RENDERED_BYTES
                    yield 0
            batch = Batch(self.sub, messages)
            order = self._order = self._order or list(self.members)
            start = turn % len(order) if order else 0
            is_end = is_last and not self._closed
            for begin, end in ((start, len(order)), (0, start)):
                for at in range(begin, end, _A_PIECE):
                    members = order[at : min(at + _A_PIECE, end)]
                    if order is not self._order or number < self._joined:
                        members = self._of(number, members)
                    if is_end:
                        for member in members:
                            member.accept_last(batch)
                    else:
                        for member in members:
                            member.accept(batch)
                    yield len(messages) * len(members)

    def _of(self, number: int, members: list[Member]) -> list[Member]:
        """Those who were there when the batch of this number was closed, and still are."""
        since, after = self.members.get, number + 1
        return [member for member in members if since(member, after) <= number]

    def _close(self) -> None:
        if self._pending:
            self._closed.append((self._number, self._pending))
            self._pending = []
            self._number += 1

    def add(self, member: Member) -> None:
        """From now on; what waits already belongs to those before."""
        self._close()
        self.members[member] = self._joined = self._number
        self._order = None

    def size(self) -> int:
        return len(self.members)

    def remove(self, member: Member) -> None:
        self.members.pop(member, None)
        self._order = None


class Hub:
    """All groups, by stream: a group without members or candidates is forgotten."""

    def __init__(self, secret: bytes, *, position_every: int = 1000) -> None:
        """`secret` names the groups of this process."""
        self._secret = secret
        self._position_every = position_every
        streams = [name for name, topic in TOPICS.items() if topic.subscribable]
        self._groups: dict[str, dict[GroupKey, Group]] = {name: {} for name in streams}
        self._named: dict[tuple[str, Name], dict[Group, None]] = {}
        """By stream and whom a record may concern: a record costs nothing for those whom it can't."""
        self._passed = dict.fromkeys(streams, 0)
        """Records of each stream since the start."""
        self._dirty: dict[Group, None] = {}
        self._turn = 0

    def reserve(self, key: GroupKey) -> Group:
        """The group of this key, which stays until it is released as often as it was reserved."""
        groups = self._groups[key.stream]
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group(key, sub_of(key, self._secret))
            for name in key.names:
                self._named.setdefault((key.stream, name), {})[group] = None
        group.reserved += 1
        return group

    def release(self, group: Group) -> None:
        """Gives a reservation back."""
        group.reserved -= 1
        self._forget_if_empty(group)

    def attach(self, group: Group, member: Member) -> None:
        """From now on; what the group has not yet sent belongs to those before."""
        if not group.members:
            group.told_after = self._passed[group.key.stream]
        group.add(member)

    def detach(self, group: Group, member: Member) -> None:
        """From now on nothing more."""
        group.remove(member)
        self._forget_if_empty(group)

    def _forget_if_empty(self, group: Group) -> None:
        key = group.key
        if group.members or group.reserved or self._groups[key.stream].pop(key, None) is None:
            return
        self._dirty.pop(group, None)
        for name in key.names:
            named = self._named[key.stream, name]
            del named[group]
            if not named:
                del self._named[key.stream, name]

    def publish(self, stream: str, entry: StreamEntry, cursor: Callable[[], str], now_s: float) -> list[Group]:
        """Notes an entry for every group that wants it; returns these."""
        self._passed[stream] += 1
        if not entry.is_deliverable:
            return []
        found = dict[Group, None]()
        for name in names_of(entry.audience):
            found |= self._named.get((stream, name), {})
        reached = [group for group in found if group.members and group.key.wants(entry)]
        for group in reached:
            self._note(group, entry, cursor(), now_s)
        return reached

    def beat(
        self, stream: str, groups: Iterable[Group], cursor: Callable[[], str], now_s: float, every_s: float
    ) -> bool:
        """Tells the position to those of a stream's groups that have heard none for `every_s`, or that much has passed
        unseen. Returns whether there is anything to flush.
        """
        # where not all see all, a position out of turn would count what others do
        most = self._passed[stream] - self._position_every if TOPICS[stream].is_public else -1
        for group in groups:
            if group.members and (now_s - group.told_at_s >= every_s or group.told_after <= most):
                self._note(group, None, cursor(), now_s)
        return self.has_more

    def _note(self, group: Group, entry: StreamEntry | None, cursor: str, now_s: float) -> None:
        group.note(entry, cursor)
        group.told_at_s = now_s
        group.told_after = self._passed[group.key.stream]
        self._dirty[group] = None

    @property
    def has_more(self) -> bool:
        """Whether anything was noted since the last flush began."""
        return bool(self._dirty)

    def flush(self) -> Iterator[int]:
        """Hands out everything noted since the last flush; yields the number of deliveries piece by piece.

        One flush ends before the next begins: each member gets all in order. The largest group comes last: its members
        need not wait for what other groups have for them.
        """
        dirty, self._dirty = sorted(self._dirty, key=Group.size), {}
        self._turn += 1
        turn = self._turn
        for group in dirty:
            yield from group.distribute(turn, is_last=group is dirty[-1])

    def groups(self, stream: str) -> list[Group]:
        return list(self._groups[stream].values())
