"""Prints the cheapest hours of the day-ahead prices and ends: a script without async, and as well a notebook's cell.

GRIDSIGNAL_URL=ws://127.0.0.1:8081 GRIDSIGNAL_TOKEN=... python cheap_hours.py DE-LU
"""

from __future__ import annotations

import os
import sys

import gridsignal
from gridsignal import SpotPrice


def cheap_hours(url: str, token: str, zone: str, count: int = 3) -> list[str]:
    """A line for each of the cheapest intervals that are still to come, in order of time."""
    with gridsignal.sync.connect(url, token=token) as grid:
        for prices in grid.subscribe("prices", zones=[zone], products=["DAY_AHEAD"], timeout=30):
            if not isinstance(prices, SpotPrice):
                continue
            known = [(value, start) for start, _, value in prices.intervals() if value is not None]
            ahead = [(value, start) for value, start in known if start > grid.now()]
            if ahead:  # the snapshot may begin with yesterday's
                cheapest = sorted((start, value) for value, start in sorted(ahead)[:count])
                return [f"{start:%Y-%m-%d %H:%MZ} {value} {prices.currency}/MWh" for start, value in cheapest]
    return []


if __name__ == "__main__":
    zone = sys.argv[1] if len(sys.argv) > 1 else "DE-LU"
    url = os.environ.get("GRIDSIGNAL_URL", "ws://127.0.0.1:8081")
    try:
        print(*cheap_hours(url, os.environ["GRIDSIGNAL_TOKEN"], zone), sep="\n")
    except gridsignal.Unreachable as error:
        sys.exit(str(error))
    except TimeoutError:
        sys.exit(f"no day-ahead prices of {zone} within 30 s")
