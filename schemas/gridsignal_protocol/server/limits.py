"""How much a client may do, and how long it may be silent: PROTOCOL.md's figures, where nothing else is set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class Moment(NamedTuple):
    """Now, by the clocks that matter."""

    wall: datetime
    """Wall time, by which tokens expire."""
    steady_s: float
    """Seconds that nobody sets: what pace and waiting are measured in."""
    lived_s: float
    """Those of them in which this program was there to hear: what silence is measured in."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a connection; the gateway's settings say of each what happens at the bound."""

    early_frames: int = 8
    frames_per_s: float = 500.0
    frame_burst: int = 2000
    strikes: int = 3
    strike_window_s: float = 60.0
    max_subscriptions: int = 256
    offer_window: int = 64
    ping_s: int = 8
    dead_after_s: int = 16
    hello_timeout_s: float = 5.0
    token_notice_s: float = 60.0


STATED = Limits()
"""As PROTOCOL.md states them."""
