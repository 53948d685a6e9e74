"""Whatever happens in a zone, its records alone give its clearings again; one that is another is told of."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, settings

from gridsignal_schemas.messages import Clearing, ClearingTrigger
from gridsignal_services.audit.checking import Checked, check
from gridsignal_services.bus import PRINCIPAL, LogRecord
from gridsignal_services.ledger.entry import Entry
from gridsignal_services.ledger.tree import leaf_of
from tests.effort import examples
from tests.unit.ledger.stages import accepted, closed
from tests.unit.ledger.test_laws import Day
from tests.unit.ledger.zone import CODEC, Zone


def logged(entry: Entry) -> LogRecord:
    key = getattr(entry.record, "zone", "")
    value = CODEC.encode(entry.record)
    return LogRecord("dispatch", 0, entry.offset, key, value, entry.appended_us, {PRINCIPAL: entry.principal})


def records_of(zone: Zone) -> list[LogRecord]:
    return [logged(entry) for entry, _ in zone.log]


def checked(records: list[LogRecord], leaves: list[bytes] | None = None) -> Checked:
    return check(0, CODEC, lambda: records, leaves=leaves or ())


def clearings_of(zone: Zone, *, by_hand: bool) -> int:
    held = [entry.record for entry, outcome in zone.log if isinstance(entry.record, Clearing) and outcome.accepted]
    return sum((clearing.trigger is ClearingTrigger.BY_HAND) == by_hand for clearing in held)


class Audited(Day):
    """Days whose clearings are all decided again."""

    def teardown(self) -> None:
        super().teardown()
        if not hasattr(self, "market"):
            return
        found = checked(records_of(self.market))
        assert found.faults == []
        assert found.clearings == clearings_of(self.market, by_hand=False)
        assert found.by_hand == clearings_of(self.market, by_hand=True)


TestAudited = Audited.TestCase
TestAudited.settings = settings(
    max_examples=examples(20), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_a_clearing_that_awards_something_else_is_told_of() -> None:
    market = closed()
    records = records_of(market)
    (at,) = [at for at, (entry, _) in enumerate(market.log) if isinstance(entry.record, Clearing)]
    entry = market.log[at][0]
    assert isinstance(entry.record, Clearing)
    assert checked(records).faults == []
    award = entry.record.awards[0].model_copy(update={"power_w": entry.record.awards[0].power_w - 1_000_000})
    other = entry.record.model_copy(update={"awards": [award]})
    records[at] = replace(records[at], value=CODEC.encode(other))
    fault = checked(records).faults[0]
    assert fault == (
        f"the clearing at offset {at} of request {other.request_id} is another:"
        " it awards 11000000 W of acme/acme-offer, the rules 12000000 W of acme/acme-offer"
    )


def test_a_record_that_was_changed_is_named_by_the_hash_that_was_kept() -> None:
    records = records_of(accepted())
    leaves = [leaf_of(record) for record in records]
    assert checked(records, leaves).faults == []
    for at, record in enumerate(records):
        changed = replace(record, appended_us=record.appended_us + 1)
        faults = checked([*records[:at], changed, *records[at + 1 :]], leaves).faults
        assert f"the record at offset {at} was changed: its hash is not the one that was kept" in faults


def test_a_record_that_is_missing_is_named() -> None:
    records = records_of(closed())
    assert "the record at offset 2 is missing: the next is at 3" in checked([*records[:2], *records[3:]]).faults
