"""What a data center's half tells its shell: values, each once, in the order in which they came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gridsignal_protocol.client.entry import Refusal, Settled
from gridsignal_protocol.client.reader import Reader
from gridsignal_schemas.frames import States
from gridsignal_schemas.messages import DispatchOrder, GridAlert


@dataclass(frozen=True, slots=True)
class Filled:
    """There is something to take for this reader, or there never will be again."""

    reader: Reader


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Entrust a RECEIVED for this order or alert to the outbox: it silences an alarm and decides nothing."""

    record: DispatchOrder | GridAlert


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a query, by the query's number."""

    number: int
    answer: States | Refusal


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """The token expires soon: get another one and call `show_token()`."""


@dataclass(frozen=True, slots=True)
class Move:
    """The gateway drains: open another connection after this time, then leave this one."""

    after_s: float


Event: TypeAlias = Filled | Settled | Acknowledge | Answered | RefreshToken | Move
