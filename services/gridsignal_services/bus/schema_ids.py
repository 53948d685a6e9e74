"""Which id stands before a record's bytes: a committed list, the same in every embedded log for ever.

Of each subject it has every schema that was ever written, with the id of each. `python -m
gridsignal_services.bus.schema_ids` adds those of the contract that it has not. It changes nothing that is there: an id
is in the logs of others.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from gridsignal_schemas.catalog import SUBJECTS, avro_schema
from gridsignal_services.bus import LogConfigurationError

_LOCK = files("gridsignal_schemas").joinpath("schema_ids.lock")


@dataclass(frozen=True, slots=True)
class Locked:
    """A schema under its id."""

    id: int
    text: str
    """Canonical."""


Lock = dict[str, list[Locked]]
"""The schemas of each subject, oldest first."""


def record_of(subject: str) -> str:
    """The record a subject is about: "gridsignal.prices-gridsignal.SpotPrice" is about SpotPrice."""
    return subject.rpartition(".")[2]


def canonical_text(schema: Any) -> str:
    """The schema as it is registered: without docs and spaces, keys sorted, so that only a change of shape shows."""
    return json.dumps(_without_docs(schema), sort_keys=True, separators=(",", ":"))


def read_lock() -> Lock:
    """The committed list. Raises LogConfigurationError where it has not all of the contract's schemas."""
    lock = _parse(_LOCK.read_text("utf-8"))
    if faults := differences(lock):
        raise LogConfigurationError("schema_ids.lock: " + "; ".join(faults))
    return lock


def id_written(lock: Lock, subject: str) -> int:
    """The id under which this version writes a subject's record. Raises LookupError where the list has none."""
    return {locked.text: locked.id for locked in lock[subject]}[_today(subject)]


def differences(lock: Lock) -> list[str]:
    """What the list lacks of the contract, or has beside it, one line a subject."""
    known = {subject: [locked.text for locked in lock.get(subject, [])] for subject in SUBJECTS}
    faults = [f"{subject}: expected its schema with an id, got none" for subject in SUBJECTS if not known[subject]]
    for subject, texts in known.items():
        if texts and _today(subject) not in texts:
            faults.append(f"{subject}: expected its schema with an id, got {len(texts)} that it had before")
    return faults + [f"{subject}: expected a subject of the contract" for subject in lock if subject not in known]


def extended(lock: Lock) -> Lock:
    """The list with the next ids for schemas of the contract that have none.

    Raises LogConfigurationError where it names what the contract has not: a record is never taken away.
    """
    grown = {subject: list(lock[subject]) for subject in lock}
    next_id = max((locked.id for schemas in lock.values() for locked in schemas), default=0) + 1
    for subject in SUBJECTS:
        schemas = grown.setdefault(subject, [])
        if (text := _today(subject)) not in [locked.text for locked in schemas]:
            schemas.append(Locked(next_id, text))
            next_id += 1
    if faults := differences(grown):
        raise LogConfigurationError("; ".join(faults))
    return grown


def lock_text(lock: Lock) -> str:
    """The list as it lies in the file: a line for each id."""
    subjects = [
        f"  {json.dumps(subject)}: [\n"
        + ",\n".join(f'    {{"id": {locked.id}, "schema": {locked.text}}}' for locked in schemas)
        + "\n  ]"
        for subject, schemas in lock.items()
    ]
    return "{\n" + ",\n".join(subjects) + "\n}\n"


def _today(subject: str) -> str:
    return canonical_text(avro_schema(record_of(subject)))


def _parse(text: str) -> Lock:
    return {
        subject: [Locked(row["id"], canonical_text(row["schema"])) for row in rows]
        for subject, rows in json.loads(text).items()
    }


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
