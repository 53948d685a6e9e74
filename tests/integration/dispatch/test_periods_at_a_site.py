"""The periods of the orders to a site, out of what the ledger has let go of: what a reading's windows rest on."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gridsignal_services.access import Entitlements
from gridsignal_services.dispatch.finished import Finished
from gridsignal_services.dispatch.parts import ORDERS
from gridsignal_services.dispatch.past import PastReader
from gridsignal_services.dispatch.tables import Question
from gridsignal_services.rest import problems
from gridsignal_services.work import NOBODYS
from tests.builders import utc
from tests.integration.dispatch.test_finished import let_go
from tests.unit.ledger.market import OPERATORS_NAME, OWNER

ZONES = ["DE-LU"]
WHOSE = Question([OPERATORS_NAME], ORDERS)


@pytest.fixture
async def finished(tmp_path: Path) -> AsyncIterator[Finished]:
    opened = Finished(tmp_path, most=2, stamp="this log")
    assert await opened.begin({})
    yield opened
    await opened.aclose()


async def begins(finished: Finished, until: str, site: str) -> list[datetime]:
    found = await finished.ordered_at(WHOSE, ZONES, utc("17:00"), utc(until), site)
    return sorted(since for since, _ in found)


async def test_they_are_those_of_few_requests_of_that_site(finished: Finished) -> None:
    for offset, book in enumerate(let_go("one", "two", "three")):
        finished.add(0, offset, book)
    assert await begins(finished, "19:30", "acme-1") == [utc("18:00"), utc("19:00")]
    assert await begins(finished, "23:00", "volt-1") == [], "what is ordered elsewhere does not count"
    past = PastReader(finished, OWNER, Entitlements(zones=frozenset(ZONES)), NOBODYS, {})
    with pytest.raises(problems.Problem) as refused:
        await past.ordered_at("acme-1", ZONES, utc("17:00"), utc("23:00"))
    assert refused.value.status == 422


async def test_there_are_none_of_a_request_that_was_written_in_part(finished: Finished, tmp_path: Path) -> None:
    """The disk is full once all but the request's own row is there."""
    with contextlib.closing(sqlite3.connect(tmp_path / "finished.db")) as file:
        file.execute(
            "create trigger full before insert on finished when new.request_id = 'two'"
            " begin select raise(fail, 'full'); end"
        )
    one, two = let_go("one", "two")
    finished.add(0, 7, one)
    with capture_logs() as lines:
        finished.add(0, 8, two)
        found = await begins(finished, "23:00", "acme-1")
    assert [line["log_level"] for line in lines] == ["error"]
    assert found == [utc("18:00")]
