"""All subscriptions of one conversation: who reads which, what was asked, what is being left, what is tried again.

Calls return what follows, in order: frames for the connection that counts, events for the shell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from gridsignal_protocol.client.entry import Refusal
from gridsignal_protocol.client.events import Acknowledge, Event, Filled
from gridsignal_protocol.client.messages import Message
from gridsignal_protocol.client.reader import Reader
from gridsignal_protocol.client.subscription import Handed, Standing, Subscription
from gridsignal_schemas import frames
from gridsignal_schemas.messages import DispatchOrder, GridAlert
from gridsignal_schemas.records import identity_of
from gridsignal_schemas.rules.lifecycle import ORDER_OVER

_REMEMBERED = 4096  # orders and alerts: a site has a handful; a second RECEIVED for a forgotten one is only a repeat
_RETRY_S = 1.0  # after an error that says it is retriable and names no time

Step: TypeAlias = frames.Frame | Event


class AlreadySubscribed(ValueError):
    """The same stream, filter and mode a second time; one reader can be shared."""


class Subscriptions:
    """What one conversation reads, over all its connections."""

    def __init__(self, ids: Iterator[int], site: str | None) -> None:
        self._ids, self._site = ids, site
        self.zone: str | None = None
        """Where the site lies, as the newest welcome says."""
        self._is_connected = False
        self._readers: dict[Subscription, Reader] = {}
        self._by_id: dict[int, Subscription] = {}  # subscribe and unsubscribe requests under way
        self._by_sub: dict[str, Subscription] = {}
        self._leaving: dict[Subscription, None] = {}
        self._refused: dict[Subscription, float] = {}  # for now: until when, by the steady clock
        self._acknowledged: dict[str, int] = {}  # by identity, the newest revision answered RECEIVED

    @property
    def readers(self) -> list[Reader]:
        """Those that have not ended."""
        return list(dict.fromkeys(self._readers.values()))

    @property
    def are_settled(self) -> bool:
        """Every one that is not parked is live, and none is being left."""
        return not self._by_id and all(each.parked or each.standing is Standing.LIVE for each in self._readers)

    @property
    def next_due_s(self) -> float | None:
        """When the next of those that were refused for now is tried again, by the steady clock."""
        return min(self._refused.values(), default=None)

    # --- connections ---------------------------------------------------------------------------------------------

    def connected(self, zone: str | None) -> list[Step]:
        """There is a connection: everything is asked for from where it stands. `zone` is where the site lies."""
        self._is_connected, self.zone = True, zone
        return [step for subscription in self._readers for step in self._ask(subscription)]

    def lost(self, *, resume: bool) -> None:
        """The connection is gone, and everything it had subscribed to with it."""
        self._is_connected = False
        self._by_id.clear()
        self._by_sub.clear()
        self._leaving.clear()
        self._refused.clear()
        for subscription in self._readers:
            subscription.lost(resume=resume)

    # --- what the program wants ----------------------------------------------------------------------------------

    def add(self, reader: Reader) -> list[Step]:
        """Begins a reader's subscriptions. Raises AlreadySubscribed; then nothing has begun."""
        known = {each.group for each in self._readers}
        for each in reader.subscriptions:
            if each.group in known:
                message = f"expected one subscription to {each.stream!r} with this filter and mode, got a second"
                raise AlreadySubscribed(message)
            known.add(each.group)
        for subscription in reader.subscriptions:
            self._readers[subscription] = reader
        return [step for subscription in reader.subscriptions for step in self._ask(subscription)]

    def take(self, reader: Reader) -> tuple[Message | None, list[Step]]:
        """The reader's next message; with room again it goes on from where it was parked."""
        message, steps = reader.take(), []
        if reader.has_room:
            for subscription in reader.subscriptions:
                if subscription.parked and subscription in self._readers:
                    subscription.parked = False
                    steps += self._ask(subscription)
        return message, steps

    def end(self, reader: Reader) -> list[Step]:
        """Ends a reader for good."""
        reader.end()
        steps: list[Step] = []
        for subscription in reader.subscriptions:
            if self._readers.pop(subscription, None) is not None:
                if subscription.standing is Standing.GONE:
                    self._refused.pop(subscription, None)
                steps += self._leave(subscription)
        return steps

    def tick(self, now_s: float) -> list[Step]:
        """Time has passed: what was refused for now and is due is tried again."""
        due = [each for each, due_s in self._refused.items() if due_s <= now_s]
        steps: list[Step] = []
        for subscription in due:
            del self._refused[subscription]
            steps += self._unsubscribe(subscription) if subscription in self._leaving else self._ask(subscription)
        return steps

    # --- what the gateway says -----------------------------------------------------------------------------------

    def feed(self, frame: frames.Signal | frames.PositionFrame | frames.Gap) -> list[Step]:
        """What a subscription brings."""
        subscription = self._by_sub.get(frame.sub)
        if subscription is None:
            return []  # it was unsubscribed while this was on its way
        match frame:
            case frames.Signal():
                handed = subscription.signal(frame)
            case frames.PositionFrame():
                handed = subscription.positioned(frame.cursor)
            case frames.Gap():
                handed = subscription.gap(frame.reason)
        return [*self._acknowledgements(handed), *self._hand(subscription, handed)]

    def subscribed(self, frame: frames.Subscribed) -> list[Step]:
        """The answer to a subscribe."""
        subscription = self._by_id.pop(frame.id, None)
        if subscription is None:
            return []
        handed = subscription.subscribed(frame)
        if subscription not in self._readers:  # the program left while the answer was on its way
            return self._leave(subscription)
        self._by_sub[frame.sub] = subscription
        return self._hand(subscription, handed)

    def unsubscribed(self, frame: frames.Unsubscribed) -> list[Step]:
        """The answer to an unsubscribe: nothing more of it comes."""
        subscription = self._by_id.pop(frame.id, None)
        return [] if subscription is None else self._left(subscription)

    def refused(self, frame: frames.Error, now_s: float) -> list[Step]:
        """The gateway does not subscribe or unsubscribe: for now, or for good."""
        subscription = None if frame.id is None else self._by_id.pop(frame.id, None)
        if subscription is None:
            return []
        if subscription in self._leaving:
            if frame.retriable:
                self._refused[subscription] = now_s + _RETRY_S
                return []
            return self._left(subscription)  # it knows no such subscription
        subscription.end()
        if subscription not in self._readers:
            return self._ask_same_group(subscription)
        if frame.retriable:
            self._refused[subscription] = now_s + _RETRY_S
            return []
        reader = self._readers[subscription]
        reader.end(Refusal.of(frame, f"the subscription to {subscription.stream!r}", is_subscription=True))
        return [*self.end(reader), Filled(reader)]

    # --- what follows --------------------------------------------------------------------------------------------

    def _hand(self, subscription: Subscription, handed: list[Handed]) -> list[Step]:
        reader = self._readers[subscription]
        more = [reader.put(subscription, one) for one in handed]
        steps: list[Step] = [Filled(reader)] if any(more) else []
        if reader.is_full:
            for each in reader.subscriptions:
                if each.can_park and each in self._readers:
                    each.parked = True
                    steps += self._leave(each)
        return steps

    def _acknowledgements(self, handed: Iterable[Handed]) -> list[Step]:
        addressed = [one.message for one in handed if isinstance(one.message, DispatchOrder | GridAlert)]
        return [Acknowledge(record) for record in addressed if self._owes_received(record)]

    def _owes_received(self, record: DispatchOrder | GridAlert) -> bool:
        name = identity_of(record) or ""
        if not self._is_to_us(record):
            self._acknowledged.pop(name, None)
            return False
        if self._acknowledged.get(name, 0) >= record.revision:
            return False
        self._acknowledged[name] = record.revision
        if len(self._acknowledged) > _REMEMBERED:
            del self._acknowledged[next(iter(self._acknowledged))]
        return True

    def _is_to_us(self, record: DispatchOrder | GridAlert) -> bool:
        """An order to our site that is not over, or an alert in our site's zone."""
        if isinstance(record, GridAlert):
            return record.zone == self.zone
        return record.site == self._site and record.state not in ORDER_OVER

    def _ask(self, subscription: Subscription) -> list[Step]:
        if not self._is_connected or subscription.parked or subscription.standing is not Standing.GONE:
            return []
        under_way = [*self._by_id.values(), *self._leaving]
        if any(other is not subscription and other.group == subscription.group for other in under_way):
            return []  # the same group is still being left; its end asks for this one
        request_id = next(self._ids)
        self._by_id[request_id] = subscription
        return [subscription.ask(request_id)]

    def _leave(self, subscription: Subscription) -> list[Step]:
        if not self._is_connected or not subscription.is_on or subscription.sub is None:
            return []  # asked: the answer finds it gone; leaving: under way; gone: nothing to leave
        self._by_sub.pop(subscription.sub, None)
        self._leaving[subscription] = None
        return self._unsubscribe(subscription)

    def _unsubscribe(self, subscription: Subscription) -> list[Step]:
        request_id = next(self._ids)
        self._by_id[request_id] = subscription
        return [subscription.leave(request_id)]

    def _left(self, subscription: Subscription) -> list[Step]:
        self._leaving.pop(subscription, None)
        subscription.end()
        return self._ask_same_group(subscription)

    def _ask_same_group(self, left: Subscription) -> list[Step]:
        # one that was added while an equal one was still being left, or itself, which has room again
        wanted = [each for each in self._readers if each.group == left.group]
        return [step for subscription in wanted for step in self._ask(subscription)]
