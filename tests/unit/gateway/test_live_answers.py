"""An answer about what is live waits for its turn as often as it costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridsignal_schemas.frames import Query
from gridsignal_schemas.values import MW
from gridsignal_services.gateway.answers import Asker, slices, states
from gridsignal_services.gateway.settings import GatewaySettings
from tests.unit.ledger.market import Market

SETTINGS = GatewaySettings(data_directory=Path(), live_states=16)


@pytest.fixture(scope="module")
def market() -> Market:
    market = Market("acme", "volt")
    for number in range(64):
        assert market.offer("acme", MW, offer_id=f"acme-{number}").receipt is not None
    return market


def turns(market: Market, query: Query, participant: str, site: str | None = None) -> int:
    return slices(query, Asker(participant, site), [market.ledger], SETTINGS)


def test_whoever_has_much_waits_longer_but_never_for_more_than_is_told(market: Market) -> None:
    live = Query(id=1, live=True)
    assert turns(market, live, "acme") == turns(market, live, "acme", "acme-1") == 1 + 2 * SETTINGS.live_states // 8
    assert len(states(live, Asker("acme", None), [market.ledger], SETTINGS).offers) == SETTINGS.live_states


def test_whoever_has_nothing_does_not_wait_for_what_others_have(market: Market) -> None:
    assert turns(market, Query(id=1, live=True), "volt") == 1


def test_names_alone_are_looked_up_in_one_turn(market: Market) -> None:
    assert turns(market, Query(id=1, offer_ids=["acme-1"]), "acme") == 1
