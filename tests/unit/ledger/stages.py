"""A request of 12 MW on its way: acme offers all of it for 70, volt for 80."""

from __future__ import annotations

from typing import Any

from gridsignal_schemas.values import MW
from tests.builders import utc
from tests.unit.ledger.market import Market


def opened(**request: Any) -> Market:
    market = Market("acme", "volt", **request)
    market.offer("acme", 12 * MW, "70")
    market.offer("volt", 12 * MW, "80")
    market.act()
    return market


def closed(**request: Any) -> Market:
    market = opened(**request)
    market.close()
    return market


def accepted(**request: Any) -> Market:
    market = closed(**request)
    market.answer("acme")
    market.act()
    return market


def running(**request: Any) -> Market:
    market = accepted(**request)
    market.run_until(utc("18:20"))
    return market
