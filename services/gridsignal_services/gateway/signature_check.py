"""Whether what a participant writes is signed as the registry asks, before it goes to the log."""

from __future__ import annotations

from collections.abc import Callable

from gridsignal_schemas.messages import BaselineDeclaration, Record
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.signatures import BadSignature, checked, read
from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.publish import signature_of
from gridsignal_services.clock import Time
from gridsignal_services.ledger.about import operator_of
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.registry import Registry
from gridsignal_services.replica import Replica

_MOST_USED = 1024


class SignatureCheck:
    """Looks at signatures, and remembers those that must not count twice.

    What has an id of its own is answered with its first receipt when it comes again, whoever sends it. A baseline has
    none: the last one counts, so that an older one sent again would undo a newer one. Its signature counts once, at
    whichever gateway, for all of them follow the log.

    Bounded: `_MOST_USED` signatures of a participant, until they expire. When full: refused. Conflates: nothing.
    """

    def __init__(self, registry: Callable[[], Registry], replica: Replica, clock: Time) -> None:
        self._registry, self._replica, self._time = registry, replica, clock
        self._since_s = clock.wall_s()
        """What was signed before may have been used without our knowing."""
        self._used: dict[str, dict[str, int]] = {}
        """Of each participant, until when each signature's name is remembered, seconds since 1970."""
        replica.listen(self._hear)

    def look(self, record: Record, signature: str | None) -> None:
        """Raises BadSignature."""
        said = checked(record, signature, self._registry().signing_of(*self._about(record)), self._time.wall())
        if said is not None and isinstance(record, BaselineDeclaration):
            self._use(record.participant, said.jti, said.iat, said.exp)

    def _about(self, record: Record) -> tuple[str, str | None]:
        """Whose word a record is, and whose request it is about."""
        book = self._replica.ledger_of(getattr(record, "zone", "")).book
        return getattr(record, "participant", ""), operator_of(book, record)

    def _use(self, participant: str, name: str, signed_s: int, until_s: int) -> None:
        used = self._remembered(participant)
        if name in used:
            raise _replayed(f"expected a jti that was not used before, got {name:.64}")
        if (early_s := self._since_s - signed_s) > 0:
            expected = "expected a baseline signed since this gateway started, for it may have been sent before"
            raise _replayed(expected, retry_after_ms=early_s * 1000)  # by a clock that is behind, too
        if len(used) >= _MOST_USED:
            raise _replayed(f"expected at most {_MOST_USED} signed baselines that have not expired")
        used[name] = until_s

    def _remembered(self, participant: str) -> dict[str, int]:
        """Without those that expired."""
        now_s = self._time.wall_s()
        used = {name: until_s for name, until_s in self._used.get(participant, {}).items() if until_s > now_s}
        self._used[participant] = used
        return used

    def _hear(self, logged: LogRecord, record: Record, _: Outcome) -> None:
        """Another gateway's word."""
        if not isinstance(record, BaselineDeclaration) or (signature := signature_of(logged)) is None:
            return
        try:
            said = read(signature)
        except BadSignature:
            return
        if said.exp > self._time.wall_s():
            self._remembered(record.participant)[said.jti] = said.exp


def _replayed(message: str, *, retry_after_ms: int = 0) -> BadSignature:
    return BadSignature(fault("SIGNATURE_REPLAYED", "/signature", message), retry_after_ms=retry_after_ms)
