"""What the registry says of participants' keys, and who asks for signatures; a mistake refuses to start."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest

from gridsignal_services.registry import Registry, example_registry_text
from gridsignal_services.settings import ConfigError

KEY = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
LINE = f'public_key = "{KEY}"'
OLD = "[participants.acme-ai.keys.old]"
NEVER = "valid_from = 2026-01-01T00:00:00Z\nvalid_until = 2026-01-01T00:00:00Z"


def registry(
    *, top: str = 'signed_for = "tso"', acme: str = "", north: str = "", keys: str = f"{OLD}\n{LINE}"
) -> Registry:
    text = example_registry_text()
    for table, more in (("participants.acme-ai", acme), ("operators.tso-north", north)):
        text = text.replace(f"[{table}]", f"[{table}]\n{more}")
    return Registry.parse(f"{top}\n{text}\n{keys}\n")


def test_without_a_word_nobody_has_to_sign_and_nobody_can() -> None:
    holds = registry(top="", keys="").signing_of("acme-ai", "tso-north")
    assert (holds.is_required, dict(holds.keys), holds.audience) == (False, {}, "")
    assert registry().signing_of("nobody").keys == {}


def test_keys_stand_under_their_kid_with_their_time() -> None:
    times = "valid_from = 2025-01-01T00:00:00Z\nvalid_until = 2026-01-01T00:00:00Z\nrevoked_at = 2025-06-01T00:00:00Z"
    holds = registry(keys=f"{OLD}\n{LINE}\n{times}\n[participants.acme-ai.keys.new]\n{LINE}").signing_of("acme-ai")
    assert (holds.audience, sorted(holds.keys)) == ("tso", ["new", "old"])
    moments = [datetime(2024, 12, 31, tzinfo=UTC), *(datetime(2025, month, 1, tzinfo=UTC) for month in (1, 5, 6, 12))]
    counts = [holds.keys["old"].counts_within(at, at) for at in moments]
    assert counts == [False, True, True, False, False]
    assert registry().signing_of("hyper-infer").keys == {}, "a key is its participant's alone"


ASKED = ('signatures = "required"', 'signatures = "required"\nsignatures_from = 2026-01-01T00:00:00Z', "")


@pytest.mark.parametrize(("acme", "north"), list(product(ASKED, ASKED)))
def test_whoever_asks_first_is_the_one_that_counts(acme: str, north: str) -> None:
    holds = registry(acme=acme, north=north).signing_of("acme-ai", "tso-north")
    early, late = datetime(2025, 12, 31, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    assert holds.is_owed(late) == any("required" in each for each in (acme, north))
    assert holds.is_owed(early) == any(each == ASKED[0] for each in (acme, north))
    elsewhere = registry(acme=acme, north=north).signing_of("acme-ai", "supplier-one")
    assert elsewhere.is_owed(late) == ("required" in acme)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"top": ""}, "signed_for: expected a name of this deployment"),
        ({"keys": "", "acme": ASKED[0]}, "participants.acme-ai.keys: expected a key, for signatures are required"),
        ({"keys": f'{OLD}\npublic_key = "abc"'}, "participants.acme-ai.keys.old.public_key: expected"),
        (
            {"keys": f"{OLD}\n{LINE}\nvalid_from = 2026-01-01T00:00:00Z\nvalid_until = 2026-01-01T00:00:00Z"},
            "valid_until: expected a time after valid_from, got 2026-01-01T00:00:00Z",
        ),
        (
            {"keys": f"{OLD}\n{LINE}\nprivate_key = 1"},
            "participants.acme-ai.keys.old.private_key: expected no such key",
        ),
        ({"acme": 'signatures = "maybe"'}, "participants.acme-ai.signatures: expected"),
        ({"keys": f"[participants.acme-ai.keys.'a b']\n{LINE}"}, "participants.acme-ai.keys"),
    ],
)
def test_a_mistake_is_told_with_its_place(wrong: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        registry(**wrong)
    assert told in str(refused.value)
