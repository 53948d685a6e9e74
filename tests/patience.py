"""How long tests wait for what must come. A bound says that something hangs, never how fast it is: a busy machine, on
which the same takes fifty times as long, is no fault of the program."""

from __future__ import annotations

SOON_S = 60.0
"""For what takes a moment, or a few seconds where a process starts."""
LONG_S = 180.0
"""For a broker that starts, a group that chooses anew, and stories of several such steps."""
_ASKED = ("REQUESTS_PER_S", "REQUEST_BURST", "WORK_MS_PER_S", "WORK_BURST_MS")
UNHURRIED = {f"GRIDSIGNAL_DISPATCH_{name}": "1000000" for name in _ASKED}
"""Limits of the REST door where a test asks until something is there: a busy machine's time is no fault of who asks."""
