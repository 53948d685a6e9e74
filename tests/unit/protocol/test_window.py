"""What was entrusted to the outbox and waits for its answer."""

from __future__ import annotations

import itertools
from datetime import timedelta

from gridsignal_protocol.client.entry import DeadlineOver, Entry, Refusal, Settled
from gridsignal_protocol.client.window import Window
from gridsignal_schemas import frames
from gridsignal_schemas.frames import Frame, Receipt, State
from tests.builders import utc

NOW = utc("12:00")
RECEIPT = Receipt(offer_id="a", revision=1, sha256="0" * 64, received_at=NOW)


def an_entry(seq: int, ident: str = "a", *, kind: str = "offer", **fields: object) -> Entry:
    return Entry(seq, kind, ident, ident, {"revision": 1}, **fields)  # type: ignore[arg-type]  # deadline, maybe_sent


def a_window(*entries: Entry, size: int = 64) -> Window:
    window = Window(itertools.count(1))
    window.size = size
    for entry in entries:
        window.entrust(entry)
    return window


def sent(steps: list[Frame | Settled]) -> list[tuple[str, int]]:
    """(offer_id, request id) of the offers among the steps."""
    return [(step.offer_id, step.id) for step in steps if isinstance(step, frames.Offer)]


def test_the_oldest_goes_first_and_no_more_than_the_window_holds() -> None:
    window = a_window(an_entry(2, "b"), an_entry(1, "a"), an_entry(3, "c"), size=2)
    assert sent(window.due(NOW)) == [("a", 1), ("b", 2)]
    assert window.due(NOW) == []
    window.received(frames.Received(id=1, receipt=RECEIPT))
    assert sent(window.due(NOW)) == [("c", 3)]


def test_a_withdrawal_waits_for_its_offer() -> None:
    window = a_window(an_entry(1), an_entry(2, kind="withdraw"))
    assert sent(window.due(NOW)) == [("a", 1)]
    window.received(frames.Received(id=1, receipt=RECEIPT))
    (step,) = window.due(NOW)
    assert isinstance(step, frames.Withdraw)


def test_everything_without_an_answer_is_sent_again_with_the_same_identity() -> None:
    window = a_window(an_entry(1), an_entry(2, "b"))
    window.due(NOW)
    window.lost()
    assert sent(window.due(NOW)) == [("a", 3), ("b", 4)]


def test_a_late_answer_to_a_request_that_was_sent_again_is_ignored() -> None:
    window = a_window(an_entry(1))
    window.due(NOW)
    window.lost()
    assert window.received(frames.Received(id=1, receipt=RECEIPT)) == []


def test_a_final_refusal_is_the_outcome() -> None:
    window = a_window(an_entry(1))
    window.due(NOW)
    (settled,) = window.refused(frames.Refused(id=1, code="conflict"), 0.0)
    assert settled == Settled(an_entry(1), Refusal("conflict", (), "offer a"))
    assert window.empty


def test_a_refusal_for_now_keeps_the_entry_and_tries_again_later() -> None:
    window = a_window(an_entry(1))
    window.due(NOW)
    assert window.refused(frames.Refused(id=1, code="rate", retriable=True, retry_after_ms=2000), 7.0) == []
    assert window.next_due_s == 9.0
    window.release(8.9)
    assert window.due(NOW) == []
    window.release(9.0)
    assert sent(window.due(NOW)) == [("a", 2)]
    assert window.next_due_s is None


def test_an_offer_whose_deadline_has_passed_is_not_sent() -> None:
    window = a_window(an_entry(1, deadline=NOW))
    (settled,) = window.due(NOW)
    assert isinstance(settled, Settled)
    assert settled.outcome == DeadlineOver("offer a", was_sent=False)


def test_a_deadline_that_passes_without_a_connection_is_told_at_once() -> None:
    window = a_window(an_entry(1, deadline=NOW))
    (settled,) = window.expire(1)
    assert settled.outcome == DeadlineOver("offer a", was_sent=False)
    assert window.expire(1) == []


def asked_about(window: Window, state: State | None) -> Settled:
    """Lost after it was sent, then too late: it is asked about, and this is the answer."""
    window.due(NOW)
    window.lost()
    (query,) = window.due(NOW + timedelta(hours=1))
    assert isinstance(query, frames.Query)
    assert query.offer_ids == ["a"]
    assert window.expire(1) == []
    (settled,) = window.states(frames.States(id=query.id, offers={"a": state}))
    assert isinstance(settled, Settled)
    return settled


def test_an_offer_that_may_be_on_the_log_is_asked_about_instead_of_sent_too_late() -> None:
    window = a_window(an_entry(1, deadline=NOW + timedelta(minutes=1)))
    assert asked_about(window, State(state="LIVE", revision=1, receipt=RECEIPT)).outcome == RECEIPT


def test_an_offer_that_never_reached_the_log_is_told_as_too_late() -> None:
    window = a_window(an_entry(1, deadline=NOW + timedelta(minutes=1)))
    assert asked_about(window, None).outcome == DeadlineOver("offer a", was_sent=True)


def test_a_question_about_an_offer_that_was_not_answered_is_asked_again() -> None:
    window = a_window(an_entry(1, deadline=NOW, maybe_sent=True))
    (query,) = window.due(NOW)
    window.unknown(frames.Error(id=query.id, code="unavailable", message="the log is away", retriable=True), 3.0)
    assert window.due(NOW) == []
    assert window.next_due_s == 3.5
    window.release(3.5)
    (again,) = window.due(NOW)
    assert again == frames.Query(id=again.id, offer_ids=["a"])


def test_what_an_earlier_run_left_may_have_been_sent() -> None:
    window = a_window(an_entry(1, deadline=NOW, maybe_sent=True))
    (query,) = window.due(NOW)
    assert isinstance(query, frames.Query)
