"""Who checks a log by the registry finds each signature that does not count, and each that is missing though owed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gridsignal_schemas.messages import BaselineDeclaration, Record
from gridsignal_schemas.records import row_of
from gridsignal_schemas.signatures import LEEWAY_S, Signing, SigningKey
from gridsignal_services.audit.checking import Checked, check
from gridsignal_services.audit.signed import SignedAgain, SigningOf
from gridsignal_services.bus import PRINCIPAL, SIGNATURE, LogRecord
from gridsignal_services.clock import from_micros
from gridsignal_services.ledger.entry import Entry
from tests.builders import a_meter_reading
from tests.signing import ACME, LIFE_S, a_key, signed, signing
from tests.unit.ledger.market import OPERATORS_NAME, Market
from tests.unit.ledger.zone import CODEC

KEYS = {"acme": ACME, "volt": a_key("volt-1")}
"""Of each participant."""


def a_day() -> list[LogRecord]:
    """Offers, a withdrawal, a clearing and answers, all that is a participant's signed when it was logged."""
    market = Market("acme", "volt")
    market.offer("acme", 6_000_000)
    market.offer("volt", 6_000_000)
    market.baseline("volt", 30_000_000, method="again")
    market.close()
    for who in KEYS:
        market.answer(who)
    return [logged(entry, number) for number, (entry, _) in enumerate(market.log)]


def logged(entry: Entry, number: int) -> LogRecord:
    headers = {PRINCIPAL: entry.principal}
    who = str(getattr(entry.record, "participant", ""))
    if row_of(entry.record).word_of == "participant":
        headers[SIGNATURE] = signed_then(entry.record, KEYS[who], entry.appended_us, str(number))
    key, value = getattr(entry.record, "zone", ""), CODEC.encode(entry.record)
    return LogRecord("dispatch", 0, entry.offset, key, value, entry.appended_us, headers)


def signed_then(record: Record, key: SigningKey, appended_us: int, name: str) -> str:
    return signed(record, key, now_s=appended_us // 1_000_000, name=name)


def holds(who: str, _: str | None = None) -> Signing:
    return signing(KEYS[who], is_required=True)


DAY = a_day()
SIGNED = [at for at, each in enumerate(DAY) if SIGNATURE in each.headers]


def again(records: list[LogRecord], signing_of: SigningOf | None = holds) -> Checked:
    return check(0, CODEC, lambda: records, signing_of=signing_of)


def with_signature(at: int, signature: str | None) -> list[LogRecord]:
    headers = {name: text for name, text in DAY[at].headers.items() if name != SIGNATURE}
    headers |= {} if signature is None else {SIGNATURE: signature}
    return [*DAY[:at], replace(DAY[at], headers=headers), *DAY[at + 1 :]]


def test_a_day_on_which_all_was_signed_is_good_and_nothing_is_said_of_what_services_wrote() -> None:
    found = again(DAY)
    assert (found.faults, found.signatures, found.unchecked_signatures) == ([], len(SIGNED), 0)
    assert len(SIGNED) >= 7
    assert len(SIGNED) < len(DAY)


def test_without_a_registry_they_are_counted_and_not_taken_for_good() -> None:
    found = again(DAY, None)
    assert (found.faults, found.signatures, found.unchecked_signatures) == ([], 0, len(SIGNED))


def _stripped(at: int) -> str | None:
    return None


def _flipped(at: int) -> str:
    text = DAY[at].headers[SIGNATURE]
    place = len(text) // 2 + at
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


def _of_another(at: int) -> str:
    return DAY[next(each for each in SIGNED if DAY[each].headers[SIGNATURE] != DAY[at].headers[SIGNATURE])].headers[
        SIGNATURE
    ]


def _anew(change: Callable[[SigningKey], SigningKey], shift_s: int = 0) -> Callable[[int], str]:
    def made(at: int) -> str:
        record = CODEC.decode(DAY[at].value)
        key = KEYS[record.participant]
        return signed_then(record, change(key), DAY[at].appended_us + shift_s * 1_000_000, f"anew-{at}")

    return made


DAMAGE: dict[str, Callable[[int], str | None]] = {
    "taken away": _stripped,
    "a letter of it": _flipped,
    "that of another record": _of_another,
    "by another key of the same name": _anew(lambda key: a_key(key.key_id)),
    "by a key that the registry has not": _anew(lambda key: replace(key, key_id="nobody")),
    "for another deployment": _anew(lambda key: replace(key, audience="elsewhere")),
    "long before": _anew(lambda key: key, -LIFE_S - 61),
    "some time after": _anew(lambda key: key, 2 * LEEWAY_S + 1),
}


@given(st.sampled_from(SIGNED), st.sampled_from(sorted(DAMAGE)))
def test_whatever_is_done_to_a_signature_its_record_is_named_and_no_other(at: int, what: str) -> None:
    (fault,) = again(with_signature(at, DAMAGE[what](at))).faults
    assert fault.startswith(f"the record at offset {at}, a ")


@given(st.sampled_from(SIGNED))
def test_a_record_that_was_changed_under_its_signature_is_named(at: int) -> None:
    other = next(each for each in SIGNED if DAY[each].value != DAY[at].value and _kind(each) is _kind(at))
    changed = [*DAY[:at], replace(DAY[at], value=DAY[other].value), *DAY[at + 1 :]]
    assert f"the record at offset {at}, a " in " ".join(again(changed).faults)


def _kind(at: int) -> type[Record]:
    return type(CODEC.decode(DAY[at].value))


@given(st.sampled_from(SIGNED))
def test_a_key_has_to_count_in_the_minute_before_the_record_was_logged(at: int) -> None:
    when = from_micros(DAY[at].appended_us) - timedelta(seconds=LEEWAY_S)
    late = [each for each in SIGNED if DAY[each].appended_us >= DAY[at].appended_us]

    def revoked(who: str, _: str | None) -> Signing:
        return signing(KEYS[who], is_required=True, revoked_at=when)

    assert [int(fault.split()[4].strip(",")) for fault in again(DAY, revoked).faults] == late


def test_what_was_logged_before_signatures_were_asked_for_needs_none() -> None:
    at = SIGNED[0]
    later = from_micros(DAY[-1].appended_us) + timedelta(days=1)

    def from_later(who: str, _: str | None) -> Signing:
        return replace(holds(who), required_from=later)

    assert again(with_signature(at, None), from_later).faults == []


def test_an_operator_may_ask_for_them_on_its_own_requests_alone() -> None:
    def of_operator(who: str, operator: str | None) -> Signing:
        return replace(holds(who), is_required=f"operator:{operator}" == OPERATORS_NAME)

    def faults(at: int) -> int:
        return len(again(with_signature(at, None), of_operator).faults)

    assert [faults(at) for at in SIGNED] == [int(_kind(at) is not BaselineDeclaration) for at in SIGNED]


def test_a_baseline_that_comes_twice_under_one_signature_is_named() -> None:
    (at, *_) = (at for at in SIGNED if _kind(at) is BaselineDeclaration)
    twice = [*DAY, replace(DAY[at], offset=len(DAY))]
    found = again(twice)
    (fault,) = found.faults
    assert found.signatures == len(SIGNED), "it counts once"
    assert fault.startswith(f"the record at offset {len(DAY)}, a BaselineDeclaration of ")
    assert "jti" in fault


def test_readings_have_signatures_too() -> None:
    reading, us = a_meter_reading(participant="acme", site="acme-1"), DAY[0].appended_us
    value = CODEC.encode(reading)
    good = LogRecord("readings", 0, 7, reading.zone, value, us, {SIGNATURE: signed_then(reading, ACME, us, "r")})
    found = SignedAgain(holds)
    readings = [good, replace(good, headers={})]
    assert list(found.passing(CODEC, readings)) == readings
    assert found.good == 1
    assert found.faults == [
        "the reading at offset 7, a MeterReading of acme: it is not signed, and the registry asks for a signature"
    ]
