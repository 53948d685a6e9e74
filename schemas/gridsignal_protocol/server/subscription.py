"""One subscription of a connection, as the gateway sees it: the one place that knows its state.

    ASKED -> REPLAYING -> LIVE        subscribe, subscribed, position
    LIVE, REPLAYING -> REPLAYING      gap: the state follows
    any -> GONE                       unsubscribe, an error, the connection's end

What it brings, signals and positions, is the same bytes for all who want the same: whoever holds the log makes them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Self

from gridsignal_schemas.frames import Filter, Mode, Subscribe


class Standing(enum.Enum):
    """Where a subscription stands."""

    ASKED = "how it begins is being found out"
    REPLAYING = "it was answered; what it lacks is on its way"
    LIVE = "everything as it happens"
    GONE = "nothing more of it is sent"


@dataclass(frozen=True, slots=True)
class Want:
    """What decides which records a subscription brings: a connection has each once."""

    stream: str
    zones: frozenset[str] | None
    facets: frozenset[str] | None
    """Products on prices, accountings on carbon, orders on regulation."""
    mode: Mode

    @classmethod
    def of(cls, stream: str, wanted: Filter, mode: Mode) -> Self:
        """What doesn't change the records is left out, so that many want the same."""
        facets = {"prices": wanted.products, "carbon": wanted.accounting, "regulation": wanted.orders}.get(stream)
        zones = wanted.zones
        return cls(
            stream,
            None if zones is None else frozenset(zones),
            None if facets is None else frozenset(facets),
            mode,
        )


class Subscription:
    """One subscription, from the wish to the end."""

    __slots__ = ("cursor", "id", "snapshot", "standing", "sub", "want")

    def __init__(self, asked: Subscribe, want: Want) -> None:
        self.id = asked.id
        """Of the frame that asked for it."""
        self.want = want
        self.snapshot, self.cursor = asked.snapshot, asked.cursor
        """How it is to begin."""
        self.standing = Standing.ASKED
        self.sub: str | None = None
        """How it is called, once it has a place."""

    @property
    def is_gone(self) -> bool:
        """Nothing more of it is sent."""
        return self.standing is Standing.GONE
