"""What a session wants done: values that a shell performs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gridsignal.errors import GridsignalError
from gridsignal.feed import Feed, Handed
from gridsignal.window import Retry, Settled
from gridsignal_schemas import frames
from gridsignal_schemas.messages import DispatchOrder


@dataclass(frozen=True, slots=True)
class Send:
    """Write this frame to the current connection."""

    frame: frames.Frame


@dataclass(frozen=True, slots=True)
class Hand:
    """Put this into the queue of whoever iterates over the feed."""

    feed: Feed
    handed: Handed


@dataclass(frozen=True, slots=True)
class Stop:
    """The feed has failed: its user is told."""

    feed: Feed
    error: GridsignalError


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Entrust a RECEIVED for this order to the outbox."""

    order: DispatchOrder


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a query, by the query's number."""

    number: int
    answer: frames.States | GridsignalError


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The gateway knows us: the clock can be set."""

    welcome: frames.Welcome


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """The token expires soon: get another and call `token()`."""


@dataclass(frozen=True, slots=True)
class Move:
    """The gateway drains: open another connection after this time, then leave this one."""

    after_s: float


@dataclass(frozen=True, slots=True)
class RetryFeed:
    """Call `subscribe_again(feed)` after this time."""

    after_s: float
    feed: Feed


Effect: TypeAlias = (
    Send | Hand | Stop | Acknowledge | Answered | Welcomed | RefreshToken | Move | RetryFeed | Settled | Retry
)
