"""What each door's credential may do on a cluster: one that is taken speaks for its door alone.

The brokers hold who writes to which topic; whose word a record may be, the reduce decides (see ledger.writers).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gridsignal_schemas.catalog import TOPICS


@dataclass(frozen=True, slots=True)
class RightsNeeded:
    """What a door does with the streams."""

    reads: frozenset[str]
    writes: frozenset[str]
    stands: frozenset[str] = frozenset()
    """Streams whose partitions it shares with others of its kind by an election."""


_SIGNALS = frozenset({"prices", "carbon", "alerts"})
_DISPATCH = frozenset({"dispatch"})
_REGULATION = frozenset({"regulation"})
NEEDS: Mapping[str, RightsNeeded] = {
    "gateway": RightsNeeded(
        reads=_SIGNALS | _REGULATION | _DISPATCH, writes=frozenset({"dispatch", "readings", "acknowledgements"})
    ),
    "dispatch": RightsNeeded(
        reads=_SIGNALS | _DISPATCH | {"readings", "acknowledgements"},
        writes=_DISPATCH | _REGULATION,
        stands=_DISPATCH,
    ),
    # every door reads the ledger's first record, which may be a simulation's clock
    "ingest": RightsNeeded(reads=_SIGNALS | _DISPATCH, writes=_SIGNALS, stands=frozenset({"prices"})),
}


OPERATIONS = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Describe": 8,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
}
"""Kafka's numbers of the operations that are given."""


def owners_group(topic: str) -> str:
    """The consumer group in which candidates stand for a topic's partitions."""
    return f"{topic}.owners"


@dataclass(frozen=True, slots=True)
class Right:
    """One kind of right of one door's user."""

    user: str
    operations: tuple[str, ...]
    topics: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    begins: bool = False
    """On all topics and groups whose names begin like these."""

    def command(self, servers: str, config: str | None = None) -> list[str]:
        """Kafka's own command that gives it; `config` is its file of how the brokers are reached."""
        reached = ["--bootstrap-server", servers, *(["--command-config", config] if config else [])]
        words = ["kafka-acls.sh", *reached, "--add", "--allow-principal", f"User:{self.user}"]
        for option, values in (("operation", self.operations), ("topic", self.topics), ("group", self.groups)):
            words += [word for value in values for word in (f"--{option}", value)]
        return [*words, "--resource-pattern-type", "prefixed"] if self.begins else words


def rights(prefix: str, *, feeds_ask: bool = False) -> list[Right]:
    """What users named as the doors need under this prefix; with `feeds_ask` ingest may log requests of its feeds."""
    given = []
    for door, needs in NEEDS.items():
        writes = needs.writes | (_DISPATCH if feeds_ask and door == "ingest" else frozenset())
        given += [
            Right(door, ("Describe", "DescribeConfigs"), _names(prefix, TOPICS)),
            Right(door, ("Read",), _names(prefix, needs.reads)),
            Right(door, ("Write",), _names(prefix, writes)),
        ]
        if needs.stands:
            groups = tuple(owners_group(name) for name in _names(prefix, needs.stands))
            given.append(Right(door, ("Read",), groups=groups))
    return given


_MAKES = ("Describe", "DescribeConfigs", "Create", "AlterConfigs", "Read", "Write")
BESIDE = ("demo", "reader", "registry")
"""Who else is on a cluster: `gridsignal demo`, whoever looks at the log, an Apicurio registry that keeps its state."""


def rights_beside(prefix: str, users: Iterable[str]) -> list[Right]:
    """What those of BESIDE need who are named: a demo its simulations, a reader the log, a registry its journal."""
    topics = _names(prefix, TOPICS)
    known = {
        "demo": [
            Right("demo", (*_MAKES, "Delete"), ("simulation-",), begins=True),
            Right("demo", ("Read",), groups=("simulation-",), begins=True),
        ],
        "reader": [
            Right("reader", ("Describe", "DescribeConfigs", "Read"), topics),
            Right("reader", ("Read",), groups=("reader-",), begins=True),
        ],
        "registry": [
            Right("registry", _MAKES, ("kafkasql-",), begins=True),
            Right("registry", ("Describe", "Read"), groups=("*",)),  # it names its group anew at each start
        ],
    }
    return [right for user in users for right in known[user]]


def _names(prefix: str, streams: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(prefix + TOPICS[stream].name for stream in streams))
