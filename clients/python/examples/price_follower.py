"""Prints when electricity is cheap: the smallest useful program. It only reads, and survives restarts of both sides.

GRIDSIGNAL_URL=ws://127.0.0.1:8081 GRIDSIGNAL_TOKEN=... python price_follower.py DE-LU
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import gridsignal
from gridsignal import Gap, SpotPrice


async def follow(url: str, token: str, zone: str, saved: Path, say: Callable[[str], None] = print) -> None:
    """Tells the cheapest interval of each new curve; `saved` keeps the position, so that a restart misses none."""
    async with gridsignal.connect(url, token=token) as grid:
        signals = grid.subscribe("prices", zones=[zone], cursor=position(saved))
        async for signal in signals:
            match signal:
                case SpotPrice() as prices:
                    known = [(value, start) for start, _, value in prices.intervals() if value is not None]
                    for price, start in sorted(known)[:1]:
                        say(f"{zone}: cheapest from {start:%Y-%m-%d %H:%MZ} at {price} {prices.currency}/MWh")
                case Gap(reason=reason):
                    say(f"{zone}: some curves may have been missed ({reason}); what holds now follows")
            save(signals.cursor, saved)


def position(saved: Path) -> dict[str, str] | None:
    """Where the last run ended; None for the first."""
    return json.loads(saved.read_text("utf-8")) if saved.exists() else None


def save(cursor: dict[str, str], saved: Path) -> None:
    """Keeps the position for the next run."""
    written = saved.with_suffix(".new")
    written.write_text(json.dumps(cursor), "utf-8")
    written.replace(saved)  # whole or not at all, whenever this program is killed


if __name__ == "__main__":
    zone = sys.argv[1] if len(sys.argv) > 1 else "DE-LU"
    url = os.environ.get("GRIDSIGNAL_URL", "ws://127.0.0.1:8081")
    try:
        asyncio.run(follow(url, os.environ["GRIDSIGNAL_TOKEN"], zone, Path("price_follower.cursor")))
    except gridsignal.Unreachable as error:  # at the start; later on it comes back by itself
        sys.exit(str(error))
