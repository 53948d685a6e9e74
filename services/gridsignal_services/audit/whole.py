"""A whole log as it is checked: each partition from its first record, with the hashes that are kept beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gridsignal_schemas.catalog import TOPICS, partition_of
from gridsignal_services.audit.checking import Checked, Heard, Readings, check
from gridsignal_services.audit.evidence import TrustedSigner
from gridsignal_services.audit.previewing import Preview, previews
from gridsignal_services.audit.settling_again import SettledAgain
from gridsignal_services.audit.signed import SigningOf
from gridsignal_services.audit.subtrees import FOLDER, Subtrees
from gridsignal_services.bus.codec import Codec
from gridsignal_services.bus.reading import LogReading
from gridsignal_services.settings import ConfigError


@dataclass(frozen=True, slots=True)
class WholeLog:
    """A log that is open."""

    log: LogReading
    codec: Codec
    directory: Path
    """Where the hashes of its trees are kept."""

    def partitions(self, zone: str | None = None) -> list[int]:
        """Those on which something lies, or a zone's. Raises ConfigError for a zone of which nothing is on the log."""
        count = TOPICS["dispatch"].partitions
        if zone is None:
            return [each for each in range(count) if self.log.bounds("dispatch", each)[1]]
        partition = partition_of(zone, count)
        if not any(logged.key == zone for logged in self.log.records("dispatch", partition)):
            raise ConfigError(f"expected a zone of which something is on the log, got {zone}")  # others may lie there
        return [partition]

    def checked(
        self,
        *,
        zone: str | None = None,
        signers: Sequence[TrustedSigner] | None = None,
        signing_of: SigningOf | None = None,
        settled: Callable[[SettledAgain], None] = lambda _: None,
    ) -> list[Checked]:
        """All that can be checked of it, partition by partition; of a zone its own figures alone."""
        return [
            check(
                partition,
                self.codec,
                partial(self.log.records, "dispatch", partition),
                leaves=Subtrees(self.directory / FOLDER / self.log.epoch, partition).leaves(),
                readings=Readings(
                    partial(self.log.records, "readings", partition),
                    are_whole=self.log.bounds("readings", partition)[0] == 0,
                    zone=zone,
                    settled=settled,
                ),
                signers=signers,
                signing_of=signing_of,
            )
            for partition in self.partitions(zone)
        ]

    def heard(self, partition: int, heard: Heard) -> Checked:
        """A partition gone through, with the ledger as it stands after each record."""
        return check(partition, self.codec, partial(self.log.records, "dispatch", partition), heard=heard)

    def previews(self, zone: str | None = None, order_id: str | None = None) -> list[Preview]:
        """What orders that are over, or one of them, would come to now."""
        return [
            each
            for partition in self.partitions(zone)
            for each in previews(
                partition,
                self.codec,
                self.log.records("dispatch", partition),
                self.log.records("readings", partition),
                order_id,
            )
            if zone in (None, each.zone)
        ]
