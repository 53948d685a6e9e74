"""Which id stands before a record's bytes: a committed list, the same in every embedded log for ever.

`python -m gridsignal_services.bus.schema_ids` adds what the contract has gained. It changes nothing that is there:
an id is in the logs of others.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from gridsignal_schemas.catalog import SUBJECTS, avro_schema
from gridsignal_services.bus import LogConfigurationError

_LOCK = files("gridsignal_schemas").joinpath("schema_ids.lock")


@dataclass(frozen=True, slots=True)
class Locked:
    """One subject's entry."""

    id: int
    sha256: str
    """Of the schema's canonical text: a change of the schema shows here."""


def record_of(subject: str) -> str:
    """The record a subject is about: "gridsignal.prices-gridsignal.SpotPrice" is about SpotPrice."""
    return subject.rpartition(".")[2]


def canonical_text(schema: Any) -> str:
    """The schema as it is registered: without docs and spaces, keys sorted, so that only a change of shape shows."""
    return json.dumps(_without_docs(schema), sort_keys=True, separators=(",", ":"))


def fingerprint(schema: Any) -> str:
    """SHA-256 of the canonical text, hex."""
    return hashlib.sha256(canonical_text(schema).encode()).hexdigest()


def read_lock() -> dict[str, Locked]:
    """The committed list. Raises LogConfigurationError where the contract's schemas are not those it lists."""
    lock = _parse(_LOCK.read_text("utf-8"))
    if faults := differences(lock):
        raise LogConfigurationError("schema_ids.lock: " + "; ".join(faults))
    return lock


def differences(lock: Mapping[str, Locked]) -> list[str]:
    """How the contract differs from the list, one line a subject."""
    faults = [f"{subject}: expected an id, got none" for subject in SUBJECTS if subject not in lock]
    for subject, locked in lock.items():
        if subject not in SUBJECTS:
            faults.append(f"{subject}: expected a schema, got none")
        elif locked.sha256 != (got := fingerprint(avro_schema(record_of(subject)))):
            faults.append(f"{subject}: expected the schema with sha256 {locked.sha256[:12]}, got {got[:12]}")
    return faults


def extended(lock: Mapping[str, Locked]) -> dict[str, Locked]:
    """The list with an id for each subject that had none. Raises LogConfigurationError where an old entry differs."""
    known = {subject: lock[subject] for subject in lock}
    next_id = max((locked.id for locked in known.values()), default=0) + 1
    for subject in SUBJECTS:
        if subject not in known:
            known[subject] = Locked(next_id, fingerprint(avro_schema(record_of(subject))))
            next_id += 1
    if faults := differences(known):
        raise LogConfigurationError("a released schema can't change under its id: " + "; ".join(faults))
    return known


def lock_text(lock: Mapping[str, Locked]) -> str:
    """The list as it lies in the file."""
    rows = {subject: {"id": locked.id, "sha256": locked.sha256} for subject, locked in lock.items()}
    return json.dumps(rows, indent=2) + "\n"


def _parse(text: str) -> dict[str, Locked]:
    return {subject: Locked(row["id"], row["sha256"]) for subject, row in json.loads(text).items()}


def _without_docs(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_docs(value) for key, value in schema.items() if key != "doc"}
    if isinstance(schema, list):
        return [_without_docs(item) for item in schema]
    return schema


def main() -> int:
    """Adds what is missing to the file in the source tree."""
    path = Path(str(_LOCK))
    try:
        lock = extended(_parse(path.read_text("utf-8")) if path.exists() else {})
    except LogConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    path.write_text(lock_text(lock), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
