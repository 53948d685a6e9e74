"""The caps of the reduce: constants of the ledger, the same on every node, for a setting would let nodes differ.

What one participant may write within them takes tens of megabytes of each node, and leaves room for the others.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Each says what happens at the bound."""

    awards_of_clearing: int = 1000
    """Awards in one clearing; a request that needs more is cleared again at once."""
    losers_of_clearing: int = 1000
    """Losers a clearing lists, the best of the merit order; the reduce finds the others' reasons by the same rules."""


LIMITS = Limits()
