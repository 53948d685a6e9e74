"""Ids that a client mints."""

from __future__ import annotations

import uuid
from typing import Any

from gridsignal.ids import answer_id, uuid7


def test_an_id_is_a_uuid_of_version_seven() -> None:
    minted = uuid.UUID(uuid7())
    assert (minted.version, minted.variant) == (7, uuid.RFC_4122)


def test_ids_sort_by_the_millisecond_they_were_made_in() -> None:
    stamps = [uuid.UUID(uuid7()).int >> 80 for _ in range(100)]
    assert stamps == sorted(stamps)
    assert len({uuid7() for _ in range(1000)}) == 1000


def test_an_answer_to_a_revision_has_one_name_and_another_answer_another() -> None:
    whole: dict[str, Any] = {"response": "ACCEPTED", "accepted_w": None, "reason": ""}
    assert answer_id("o", 1, whole) == answer_id("o", 1, {"response": "ACCEPTED"})
    part = whole | {"accepted_w": 8}
    names = [answer_id("o", 1, whole), answer_id("o", 2, whole), answer_id("p", 1, whole), answer_id("o", 1, part)]
    assert len(set(names)) == 4
