"""Signatures of participants on a log, looked at again: each that is there, and each that is not though it was owed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from gridsignal_schemas.messages import BaselineDeclaration, MeterReading, Record
from gridsignal_schemas.records import row_of
from gridsignal_schemas.signatures import LEEWAY_S, BadSignature, Signed, Signing, checked
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.codec import Codec, Poison
from gridsignal_services.bus.publish import signature_of
from gridsignal_services.clock import from_micros
from gridsignal_services.ledger.about import operator_of
from gridsignal_services.ledger.reduce import Ledger

MOST_FAULTS = 100
"""Told of one partition."""
SigningOf = Callable[[str, str | None], Signing]
"""What holds for a participant's records about an operator's request, as a registry says."""


def looked_at(record: Record, signature: str | None, appended_us: int, signing: Signing) -> Signed | None:
    """What the signature of a record says that was logged then; None where it needs none. Raises BadSignature."""
    if row_of(record).word_of != "participant":
        return None
    return checked(record, signature, signing, from_micros(appended_us), late_s=LEEWAY_S)


def in_words(bad: BadSignature) -> str:
    """What is wrong with a record, for whoever checks a log."""
    if bad.fault.code == "SIGNATURE_REQUIRED":
        return "it is not signed, and the registry asks for a signature"
    return f"its signature does not count: {bad.fault.message}"


@dataclass(slots=True)
class SignedAgain:
    """One partition's signatures. Bounded: names of signatures until they expire; MOST_FAULTS."""

    signing_of: SigningOf | None = None
    """None: nobody knows the keys, and signatures are counted alone."""
    good: int = 0
    """Signatures that count."""
    unchecked: int = 0
    """Those that are there, without a registry to check them by."""
    faults: list[str] = field(default_factory=list)
    _used: dict[tuple[str, str], int] = field(default_factory=dict)

    def look(self, ledger: Ledger, logged: LogRecord, record: Record) -> None:
        """At a record of the dispatch stream, with the ledger as it stands after it."""
        if row_of(record).word_of != "participant":
            return
        self._check(logged, record, operator_of(ledger.book, record))

    def passing(self, codec: Codec, readings: Iterable[LogRecord]) -> Iterator[LogRecord]:
        """The readings, each of which is looked at."""
        for logged in readings:
            if self.signing_of is None:
                self.unchecked += signature_of(logged) is not None
                yield logged
                continue
            with suppress(Poison):
                if isinstance(record := codec.decode(logged.value), MeterReading):
                    self._check(logged, record, None)
            yield logged

    def _check(self, logged: LogRecord, record: Record, operator: str | None) -> None:
        signature, who = signature_of(logged), str(getattr(record, "participant", ""))
        if self.signing_of is None:
            self.unchecked += signature is not None
            return
        try:
            said = looked_at(record, signature, logged.appended_us, self.signing_of(who, operator))
        except BadSignature as bad:
            self._say(logged, record, who, in_words(bad))
            return
        if said is None:
            return
        if isinstance(record, BaselineDeclaration) and self._is_used(who, said, logged.appended_us // 1_000_000):
            why = f"its signature does not count: expected a jti that was not used before, got {said.jti:.64}"
            self._say(logged, record, who, why)
            return
        self.good += 1

    def _is_used(self, who: str, said: Signed, now_s: int) -> bool:
        self._used = {name: until_s for name, until_s in self._used.items() if until_s + LEEWAY_S > now_s}
        if (who, said.jti) in self._used:
            return True
        self._used[who, said.jti] = said.exp
        return False

    def _say(self, logged: LogRecord, record: Record, who: str, why: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            what = "reading" if isinstance(record, MeterReading) else "record"
            place = f"the {what} at offset {logged.offset}, a {record.record_name} of {who}"
            self.faults.append(f"{place}: {why}")
