"""What meters said, told once more to those who compute baselines and settlements again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from gridsignal_schemas.messages import BaselineFixed, MeterReading, Record, Settlement
from gridsignal_schemas.rules.readings import is_interval, reading_faults
from gridsignal_services.audit.fixing_again import FixingAgain
from gridsignal_services.audit.settling_again import SettlingAgain
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Codec, Poison, sha256_of
from gridsignal_services.clock import grid_time
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.metering.older_readings import Held


@dataclass(slots=True)
class MeasuredAgain:
    """All that rests on readings."""

    settling: SettlingAgain = field(default_factory=lambda: SettlingAgain([]))
    fixing: FixingAgain = field(default_factory=lambda: FixingAgain([]))

    def before(self, ledger: Ledger) -> None:
        """Takes what is needed of the book, before the record at the ledger's position is reduced."""
        self.settling.before(ledger)
        self.fixing.before(ledger)

    def after(self, offset: int, record: Record) -> None:
        """A record that held."""
        match record:
            case Settlement():
                self.settling.after(offset, record)
            case BaselineFixed():
                self.fixing.after(offset, record)
            case _:
                pass

    def hear(self, ledger: Ledger, codec: Codec, readings: Iterable[LogRecord]) -> None:
        """Takes what was measured, once all is reduced; `ledger` is the one at the end."""
        sites = {*self.settling.sites, *self.fixing.sites}
        for logged in readings if sites else ():
            held = measurement(ledger, codec, logged)
            if held is not None and held.reading.site in sites:
                self.settling.hear(held)
                self.fixing.hear(held)

    def stretches(self) -> Iterator[tuple[str, datetime, datetime]]:
        """The times of which readings are needed, each with its site."""
        yield from self.settling.stretches()
        yield from self.fixing.stretches()


def measurement(ledger: Ledger, codec: Codec, logged: LogRecord) -> Held | None:
    """A record of the readings partition that says what a meter of one of the ledger's sites measured."""
    try:
        reading = codec.decode(logged.value)
    except Poison:
        return None
    if not isinstance(reading, MeterReading) or not is_interval(reading):
        return None
    site = ledger.sites.get(reading.site)
    if site is None or site.zone != reading.zone:
        return None
    if reading_faults(reading, grid_time(ledger.grid, logged.appended_us), None):
        return None
    return Held(logged.offset, reading, bytes.fromhex(sha256_of(logged.value)))
