"""What stays in memory of offers that are over: days of one zone are reduced, and what each has left is counted."""

from __future__ import annotations

import argparse
import gc
import json
import time
import tracemalloc
from datetime import datetime, timedelta
from typing import Any

from gridsignal_schemas.messages import Record
from gridsignal_schemas.rules.limits import LIMITS
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.book import KEPT
from gridsignal_services.ledger.entry import Outcome
from tests.builders import utc
from tests.unit.ledger.market import Market

_SITES = 5
_ROUND = 2 * LIMITS.baselines_of_site
"""Days after which as many declarations of a site are kept as before: they are looked through when so many are."""


class _Year(Market):
    """A market that keeps no log beside its ledger."""

    def add(self, record: Record, principal: str = "service:test") -> Outcome:
        outcome = super().add(record, principal)
        self.log.clear()
        return outcome

    def day(self, number: int, offers: int) -> None:
        """One request of the evening with so many offers; half of them are called, accepted and served."""

        def at(hour: int, minute: int = 0) -> datetime:
            return utc("00:00") + timedelta(days=number, hours=hour, minutes=minute)

        name, period = f"request-{number}", {"starts_at": at(18), "ends_at": at(18, 45)}
        self.run_until(at(12))
        for site in range(_SITES):
            assert self.baseline(f"p{site}", 40 * MW, starts_at=at(0)).accepted
        power_w = offers * MW // 2
        deadlines = {"gate_closure_at": at(17), "decision_deadline": at(17, 10)}
        assert self.ask(request_id=name, power_w=power_w, **deadlines, **period).accepted
        for offer in range(offers):
            fields: dict[str, Any] = {"offer_id": f"offer-{number}-{offer}", "request_id": name, "expires_at": at(19)}
            assert not self.offer(f"p{offer % _SITES}", MW, str(50 + offer), **fields, **period).faults
        self.run_until(at(17))
        for tracked in list(self.ledger.orders.values()):
            if tracked.order.request_id == name:
                assert self.reply(tracked.order, "ACCEPTED", response_id=tracked.order.order_id).accepted
        self.run_until(at(20))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is reduced."""
    parser.add_argument("--days", type=int, default=40 + _ROUND, help=f"more than {_ROUND}")
    parser.add_argument("--offers", type=int, default=25, help="on the request of a day")
    parser.add_argument("--keep", action="store_true", help="let go of nothing, to compare")


def run(args: argparse.Namespace) -> int:
    """Between two days on which the same is live, so that it is not counted."""
    year = _Year(kept=timedelta(days=36_500) if args.keep else KEPT)
    for site in range(_SITES):
        year.site(f"p{site}")
    tracemalloc.start()
    began, first, at_first = time.perf_counter(), args.days - 1 - _ROUND, 0
    for number in range(args.days):
        year.day(number, args.offers)
        if number == first:
            gc.collect()
            at_first = tracemalloc.get_traced_memory()[0]
    gc.collect()
    left = (tracemalloc.get_traced_memory()[0] - at_first) / (_ROUND * args.offers)
    found = {
        "offers": args.days * args.offers,
        "records": year.ledger.position,
        "seconds": round(time.perf_counter() - began, 1),
        "offers in the book": len(year.ledger.offers),
        "bytes of a finished offer": round(left, 1),
    }
    print(json.dumps(found) if args.json else "\n".join(f"{name}: {value}" for name, value in found.items()))
    return 0
