"""A signature counts for one record, one deployment, one key and one stretch of time, and for nothing beside them."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import product

import avro.schema
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st

from gridsignal_schemas.avro_bytes import fingerprint_of, newest, payload_of
from gridsignal_schemas.catalog import avro_text
from gridsignal_schemas.frames import CLIENT_FRAMES
from gridsignal_schemas.messages import RECORDS
from gridsignal_schemas.records import RECORD_OF_FRAME
from gridsignal_schemas.rules.writes import Speaker, record_of
from gridsignal_schemas.signatures import LEEWAY_S, LONGEST_LIFE_S, BadSignature, Signing, VerifyingKey, checked, read
from gridsignal_schemas.values import Record
from gridsignal_services.bus.codec import Codec
from gridsignal_services.settlement.pinned import STANDARD_RULE
from tests.builders import a_dispatch_request, a_flex_offer
from tests.contract.strategies import any_of
from tests.signing import ACME, LIFE_S, NOW, NOW_S, RIVAL, a_key, signed, signing
from tests.tidy.sources import ROOT

WRITTEN = sorted(RECORD_OF_FRAME.values())
RECORDS_OF_PARTICIPANTS = st.sampled_from(WRITTEN).flatmap(lambda name: any_of(RECORDS[name]))
OFFER = a_flex_offer()
CODEC = Codec.from_lock()


def code_of(
    record: Record, signature: str | None, holds: Signing | None = None, *, after_s: float = 0, late_s: int = 0
) -> str:
    """The code with which it is refused; empty where it counts."""
    try:
        checked(record, signature, holds or signing(), NOW + timedelta(seconds=after_s), late_s)
    except BadSignature as bad:
        return bad.fault.code
    return ""


@given(RECORDS_OF_PARTICIPANTS, st.integers(0, LIFE_S - 1))
def test_whatever_a_participant_sends_can_be_signed_and_counts_until_it_expires(record: Record, after_s: int) -> None:
    said = checked(record, signed(record), signing(is_required=True), NOW + timedelta(seconds=after_s))
    assert said is not None
    assert (said.kid, said.aud, said.iat, said.exp) == (ACME.key_id, ACME.audience, NOW_S, NOW_S + LIFE_S)


def test_no_bit_of_a_signature_can_be_another() -> None:
    good = signed(OFFER).encode()
    assert code_of(OFFER, good.decode()) == ""
    for at, bit in product(range(len(good)), range(7)):
        changed = good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :]
        assert code_of(OFFER, changed.decode()) in ("SIGNATURE_INVALID", "SIGNATURE_EXPIRED"), (at, bit)


@given(st.data())
def test_no_field_of_what_is_signed_can_be_another(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(WRITTEN))
    one, other = data.draw(any_of(RECORDS[name])), data.draw(any_of(RECORDS[name]))
    field = data.draw(st.sampled_from(sorted(type(one).model_fields)))
    forged = one.model_copy(update={field: getattr(other, field)})
    assume(forged != one)
    assert code_of(forged, signed(one)) == "SIGNATURE_INVALID"


@given(st.data())
def test_a_signature_of_one_record_is_none_of_another_kind(data: st.DataObject) -> None:
    one, other = data.draw(RECORDS_OF_PARTICIPANTS), data.draw(RECORDS_OF_PARTICIPANTS)
    assume(type(one) is not type(other))
    assert code_of(other, signed(one)) == "SIGNATURE_INVALID"


@pytest.mark.parametrize("change", [{"revision": 2}, {"request_id": "another"}, {"request_revision": 7}, {"site": "b"}])
def test_an_offer_counts_for_its_own_request_and_revision(change: dict[str, object]) -> None:
    assert code_of(a_flex_offer(**change), signed(OFFER)) == "SIGNATURE_INVALID"


def test_another_participants_good_key_is_none_of_this_ones_even_under_the_same_kid() -> None:
    assert code_of(OFFER, signed(OFFER, RIVAL)) == "SIGNATURE_INVALID"
    assert code_of(OFFER, signed(OFFER, a_key(ACME.key_id))) == "SIGNATURE_INVALID"


def test_what_is_signed_for_another_deployment_counts_nowhere_else() -> None:
    assert code_of(OFFER, signed(OFFER, audience="tso-south.example")) == "SIGNATURE_INVALID"


def test_it_expires_to_the_second_and_a_clock_may_be_ahead_by_a_minute() -> None:
    good = signed(OFFER)
    assert [code_of(OFFER, good, after_s=s) for s in (LIFE_S - 0.001, LIFE_S)] == ["", "SIGNATURE_EXPIRED"]
    assert [code_of(OFFER, good, after_s=s) for s in (-LEEWAY_S, -LEEWAY_S - 1)] == ["", "SIGNATURE_EXPIRED"]
    assert code_of(OFFER, good, after_s=LIFE_S, late_s=1) == "", "logged a moment after the door had looked"


_NEAR_S = st.floats(-2 * LEEWAY_S, 2 * LEEWAY_S)
_NEAR = st.none() | _NEAR_S.map(lambda s: NOW + timedelta(seconds=s))


@given(_NEAR, _NEAR, _NEAR, _NEAR, _NEAR_S, st.floats(0, LEEWAY_S), st.booleans())
def test_what_the_door_took_counts_in_the_log_up_to_a_minute_later(
    valid_from: datetime | None,
    valid_until: datetime | None,
    revoked_at: datetime | None,
    required_from: datetime | None,
    looked_s: float,
    later_s: float,
    is_signed: bool,
) -> None:
    holds = signing(is_required=True, valid_from=valid_from, valid_until=valid_until, revoked_at=revoked_at)
    holds = replace(holds, required_from=required_from)
    signature = signed(OFFER) if is_signed else None
    was_taken = code_of(OFFER, signature, holds, after_s=looked_s) == ""
    assert not was_taken or code_of(OFFER, signature, holds, after_s=looked_s + later_s, late_s=LEEWAY_S) == ""


def test_a_log_whose_clock_is_a_minute_behind_the_door_s_takes_what_the_door_took() -> None:
    good = signed(OFFER)
    codes = [code_of(OFFER, good, after_s=-s, late_s=LEEWAY_S) for s in (2 * LEEWAY_S, 2 * LEEWAY_S + 1)]
    assert codes == ["", "SIGNATURE_EXPIRED"]


@pytest.mark.parametrize("when", ["valid_until", "revoked_at"])
def test_a_key_that_counted_until_a_minute_before_the_log_had_it_counts_no_more(when: str) -> None:
    minute = timedelta(seconds=LEEWAY_S)
    holds = [signing(**{when: NOW - minute + late}) for late in (timedelta(microseconds=1), timedelta(0))]
    assert [code_of(OFFER, signed(OFFER), each, late_s=LEEWAY_S) for each in holds] == ["", "SIGNATURE_INVALID"]


def test_nobody_signs_for_longer_than_a_while() -> None:
    assert [code_of(OFFER, signed(OFFER, life_s=life_s)) for life_s in (1, LONGEST_LIFE_S)] == ["", ""]
    for life_s in (-1, 0, LONGEST_LIFE_S + 1):
        assert code_of(OFFER, signed(OFFER, life_s=life_s)) == "SIGNATURE_INVALID"


def test_a_key_counts_from_when_to_when_the_registry_says() -> None:
    good, hour = signed(OFFER), timedelta(hours=1)
    for when in ({"valid_from": NOW}, {"valid_until": NOW + hour}, {"revoked_at": NOW + hour}):
        assert code_of(OFFER, good, signing(**when)) == ""
    for when in ({"valid_from": NOW + hour}, {"valid_until": NOW}, {"revoked_at": NOW}):
        assert code_of(OFFER, good, signing(**when)) == "SIGNATURE_INVALID"


def test_none_is_asked_of_who_need_not_sign_and_one_that_is_there_must_be_good() -> None:
    assert code_of(OFFER, None) == ""
    assert code_of(OFFER, None, signing(is_required=True)) == "SIGNATURE_REQUIRED"
    assert (
        code_of(OFFER, "a.b.c") == code_of(OFFER, "") == code_of(OFFER, signed(OFFER), Signing()) == "SIGNATURE_INVALID"
    )


@given(st.text(max_size=1100) | st.from_regex(r"[A-Za-z0-9_-]{0,80}\.\.[A-Za-z0-9_-]{0,90}", fullmatch=True))
def test_whatever_comes_in_place_of_a_signature_is_refused_in_words(text: str) -> None:
    assert code_of(OFFER, text) == "SIGNATURE_INVALID"


@given(RECORDS_OF_PARTICIPANTS)
def test_what_is_signed_is_the_avro_value_on_the_log(record: Record) -> None:
    assert payload_of(record, newest(record.record_name)) == CODEC.encode(record)[5:]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_schema_is_named_as_apaches_own_implementation_names_it(name: str) -> None:
    theirs = avro.schema.parse(avro_text(name)).canonical_form
    plain = re.sub(r'\{"type":"(\w+)"\}', r'"\1"', theirs)  # [PRIMITIVES] of the specification, which theirs forgets
    assert newest(name) == hashlib.sha256(plain.encode()).hexdigest()


def test_what_an_older_schema_can_say_is_read_by_it_and_nothing_else() -> None:
    lock = json.loads(files("gridsignal_schemas").joinpath("schema_ids.lock").read_text("utf-8"))
    older, *_, today = (
        row["schema"] for name, rows in lock.items() if name.endswith(".DispatchRequest") for row in rows
    )
    assert {fingerprint_of(today)} == {newest("DispatchRequest")} != {fingerprint_of(older)}
    plain = a_dispatch_request(settlement=None, baseline_method=None)
    assert payload_of(plain, fingerprint_of(older)) is not None
    assert payload_of(a_dispatch_request(settlement=STANDARD_RULE), fingerprint_of(older)) is None
    assert payload_of(OFFER, fingerprint_of(older)) is None


def test_the_example_of_the_page_is_what_it_says() -> None:
    page = (ROOT / "docs" / "signatures.md").read_text("utf-8").partition("## By hand")[2]
    frame, meant, header = re.findall(r"```json\n(.*?)\n```", page)
    payload, signature = re.findall(r"```\n(.*?)\n```", page)
    (public,) = re.findall(r"The public key is `([0-9a-f]{64})`", page)
    record = record_of(CLIENT_FRAMES["withdraw"].model_validate_json(frame), Speaker("acme-ai", "fra-1", "DE-LU"))
    said = read(signature)
    assert record.model_dump(mode="json") == json.loads(meant)
    assert payload_of(record, said.schema) == bytes.fromhex(payload)
    # by hand, as a client without any of our code
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    text = b".".join(urlsafe_b64encode(each).rstrip(b"=") for each in (header.encode(), bytes.fromhex(payload)))
    made = [text.split(b".")[0], b"", urlsafe_b64encode(private.sign(text)).rstrip(b"=")]
    assert b".".join(made).decode() == signature
    assert private.public_key().public_bytes_raw().hex() == public
    holds = Signing("tso-north.example", {"acme-2026": VerifyingKey(public)}, is_required=True)
    assert checked(record, signature, holds, datetime(2024, 5, 12, 16, 4, 59, tzinfo=UTC)) == said
