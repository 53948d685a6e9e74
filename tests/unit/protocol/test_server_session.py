"""A session decides: frames and facts in, frames and events out, no socket anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gridsignal_protocol.server.closing import Close
from gridsignal_protocol.server.events import Join, Leave, Look, Publish, Renewed, Welcomed
from gridsignal_protocol.server.limits import STATED
from gridsignal_protocol.server.session import Session
from gridsignal_schemas.frames import (
    CloseCode,
    Error,
    Refused,
    TokenAccepted,
    TokenExpiring,
    Unsubscribed,
    Welcome,
)
from gridsignal_schemas.messages import FlexOffer
from gridsignal_schemas.rules.access import Entitlements
from gridsignal_services.gateway.settings import GatewaySettings
from tests.builders import a_flex_offer
from tests.unit.protocol.server_sessions import (
    ACME,
    NOW,
    OWN,
    TOKENS,
    Step,
    a_session,
    an_open_session,
    binary,
    code,
    count,
    follow,
    receive,
    tell,
    tick,
)


def test_the_limits_of_a_gateway_are_those_of_the_protocol() -> None:
    assert GatewaySettings(data_directory=Path()).protocol == STATED


def test_a_hello_is_welcomed_and_announced() -> None:
    session = a_session()
    welcome, welcomed = tell(session, "hello", client="tests", site="fra-1", instance="planner")
    assert welcomed == Welcomed("planner")
    assert isinstance(welcome, Welcome)
    assert welcome.token_expires_at == ACME.expires_at


def test_the_token_of_a_hello_counts() -> None:
    assert tell(a_session(None), "hello", client="tests") == [
        Close(CloseCode.UNAUTHORIZED, "expected a valid bearer token")
    ]
    assert tell(a_session(ACME), "hello", client="tests", token="bad") == [
        Close(CloseCode.UNAUTHORIZED, "expected a valid bearer token")
    ]
    session = a_session(None)
    tell(session, "hello", client="tests", token="acme")
    assert session.principal == ACME


def test_a_site_narrows_what_is_seen_to_itself() -> None:
    assert an_open_session("fra-1").entitlements.sites == {"fra-1"}
    assert an_open_session(None).entitlements.sites == {"fra-1", "fra-2"}
    assert an_open_session("fra-1").entitlements.zones == {"DE-LU", "FR"}


def test_a_foreign_site_and_an_operators_site_are_forbidden() -> None:
    assert tell(a_session(), "hello", client="tests", site="muc-1")[0] == Close(
        CloseCode.FORBIDDEN, "muc-1 is no site of yours"
    )
    operator = replace(ACME, role="operator")
    assert isinstance(tell(a_session(operator), "hello", client="tests", site="fra-1")[0], Close)


def test_a_subscription_is_a_join_and_its_end_a_leave() -> None:
    session = an_open_session()
    (join,) = tell(session, "subscribe", stream="prices", snapshot=True, cursor="c")
    assert isinstance(join, Join)
    asked = join.subscription
    assert (asked.id, asked.snapshot, asked.cursor) == (1, True, "c")
    session.subscriptions.named(asked, "s1")
    assert code(tell(session, "subscribe", stream="prices")) == "already_subscribed"
    assert tell(session, "unsubscribe", sub="s1") == [Unsubscribed(id=1, sub="s1"), Leave(asked)]
    assert isinstance(tell(session, "subscribe", stream="prices")[0], Join)


def test_a_subscription_that_failed_may_be_tried_again() -> None:
    session = an_open_session()
    (join,) = tell(session, "subscribe", stream="prices")
    assert isinstance(join, Join)
    session.subscriptions.refused(join.subscription, "unavailable", "the log is away", retriable=True)
    (error,) = follow(session)
    assert isinstance(error, Error)
    assert (error.id, error.code, error.retriable) == (1, "unavailable", True)
    assert isinstance(tell(session, "subscribe", stream="prices")[0], Join)


def test_an_offer_becomes_the_record_it_means() -> None:
    offer = a_flex_offer()
    body = offer.model_dump(mode="json", exclude={"zone", "participant", "site", "offer_id"})
    (publish,) = tell(an_open_session(), "offer", offer_id=offer.offer_id, body=body)
    assert isinstance(publish, Publish)
    assert isinstance(publish.record, FlexOffer)
    assert publish.record == offer
    assert publish.offer_id == offer.offer_id


def test_the_window_bounds_unanswered_writes() -> None:
    session = an_open_session(offer_window=2)
    body = a_flex_offer().model_dump(mode="json")
    told = [tell(session, "offer", offer_id=body["offer_id"], body=body) for _ in range(3)]
    assert [isinstance(steps[0], Publish) for steps in told] == [True, True, False]
    assert code(told[2]) == "rate"
    session.answer(away := Refused(id=1, code="unavailable"))
    assert follow(session) == [away]
    assert isinstance(tell(session, "offer", offer_id=body["offer_id"], body=body)[0], Publish)


def test_a_refused_body_takes_no_place_in_the_window() -> None:
    session = an_open_session(offer_window=1)
    assert code(tell(session, "offer", offer_id="o-1", body={})) == "schema"
    body = a_flex_offer().model_dump(mode="json")
    assert isinstance(tell(session, "offer", offer_id=body["offer_id"], body=body)[0], Publish)


def test_a_query_is_looked_up() -> None:
    (look,) = tell(an_open_session(), "query", offer_ids=["o-1"])
    assert isinstance(look, Look)
    assert look.query.offer_ids == ["o-1"]


def test_queries_share_the_window_of_writes() -> None:
    session = an_open_session(offer_window=2)
    assert [isinstance(tell(session, "query")[0], Look) for _ in range(2)] == [True, True]
    assert code(tell(session, "query")) == "rate"
    session.answer(away := Refused(id=1, code="unavailable"))
    assert follow(session) == [away]
    assert isinstance(tell(session, "query")[0], Look)


def test_many_ids_in_a_query_count_as_many_frames() -> None:
    session = an_open_session(frames_per_s=0.001, frame_burst=20)
    ids = [f"o-{number}" for number in range(256)]
    assert isinstance(tell(session, "query", offer_ids=ids, order_ids=ids)[0], Look)
    assert isinstance(tell(session, "query")[0], Look)
    assert isinstance(tell(session, "query", offer_ids=["o-1"])[0], Look)
    assert code(tell(session, "query")) == "rate"


@pytest.mark.parametrize(
    ("text", "kind", "pointer"),
    [
        (b'{"t": "offer", "id": 1, "offer_id": "o", "body": {"revision": 1, "revision": 2}}', Refused, "/revision"),
        (b'{"t": "reading", "id": 1, "body": {"a": [{"b": 1, "b": 1}]}}', Refused, "/a/0/b"),
        (b'{"t": "offer", "id": 1, "offer_id": "o", "offer_id": "p", "body": {}}', Refused, "/offer_id"),
        (b'{"t": "query", "id": 1, "id": 1}', Error, "/id"),
    ],
)
def test_a_key_that_comes_twice_is_refused_as_the_rest_doors_do(text: bytes, kind: type, pointer: str) -> None:
    (told,) = receive(an_open_session(), text)
    assert isinstance(told, kind)
    assert code([told]) == "schema"
    if isinstance(told, Refused):
        assert [(detail.code, detail.pointer) for detail in told.details] == [("DUPLICATE_KEY", pointer)]
    else:
        assert isinstance(told, Error)
        assert pointer in told.message
        assert [(detail.code, detail.pointer) for detail in told.details or ()] == [("DUPLICATE_KEY", pointer)]


def test_a_filter_names_what_there_is() -> None:
    session = an_open_session()
    assert code(tell(session, "subscribe", stream="prices", filter={"products": ["DAY_AHEAD", "p17"]})) == "schema"
    assert code(tell(session, "subscribe", stream="carbon", filter={"accounting": ["GUESSED"]})) == "schema"
    assert isinstance(tell(session, "subscribe", stream="carbon", filter={"accounting": ["MARGINAL"]})[0], Join)


@pytest.mark.parametrize(
    ("wanted", "detail", "at"),
    [
        ({"zones": ["DE-LU", "XX", "YY"]}, "ZONE_UNKNOWN", "/filter/zones/1"),
        ({"products": ["DAY_AHEAD", "p17"]}, "UNKNOWN_SYMBOL", "/filter/products/1"),
        ({"accounting": ["GUESSED"]}, "UNKNOWN_SYMBOL", "/filter/accounting/0"),
        ({"zones": [7]}, "INVALID_VALUE", "/filter/zones/0"),
        ({"colour": "green"}, "UNKNOWN_FIELD", "/filter/colour"),
    ],
)
def test_what_is_wrong_with_a_filter_is_told_by_a_code_and_a_pointer(
    wanted: dict[str, object], detail: str, at: str
) -> None:
    (error,) = tell(an_open_session(), "subscribe", stream="prices", filter=wanted)
    assert isinstance(error, Error)
    assert [(fault.code, fault.pointer) for fault in error.details or ()] == [(detail, at)]


def test_an_error_whose_code_says_it_all_has_no_details() -> None:
    (error,) = tell(an_open_session(), "subscribe", stream="weather")
    assert isinstance(error, Error)
    assert "details" not in json.loads(error.encode())


def test_a_token_is_watched_from_its_notice_to_its_end() -> None:
    session = an_open_session()
    assert tick(session, NOW) == ([], 3540.0)
    steps, again_s = tick(session, ACME.expires_at - timedelta(seconds=60))
    assert steps == [TokenExpiring(expires_at=ACME.expires_at)]
    assert again_s == 60.0
    assert tick(session, ACME.expires_at - timedelta(seconds=1)) == ([], 1.0)
    assert tick(session, ACME.expires_at)[0] == [Close(CloseCode.TOKEN_EXPIRED, "token expired")]


def test_a_fresh_token_moves_the_end() -> None:
    session = an_open_session()
    tick(session, ACME.expires_at - timedelta(seconds=60))
    assert tell(session, "token", token="longer") == [
        TokenAccepted(id=1, token_expires_at=TOKENS["longer"].expires_at),
        Renewed(),
    ]
    assert tick(session, ACME.expires_at) == ([], 3540.0)
    assert code(tell(session, "token", token="volt")) == "forbidden"
    assert code(tell(session, "token", token="bad")) == "unauthorized"


def test_a_token_with_other_scopes_means_fresh_subscriptions() -> None:
    accepted, close = tell(an_open_session(), "token", token="reader")
    assert isinstance(accepted, TokenAccepted)
    assert close == Close(CloseCode.ENTITLEMENTS_CHANGED, "scopes changed")


def test_changed_entitlements_end_the_session_and_others_do_not() -> None:
    session = an_open_session("fra-1")
    session.entitled(Entitlements(OWN.zones, frozenset({"fra-1"})))
    assert follow(session) == []
    session.entitled(Entitlements(frozenset({"FR"}), OWN.sites))
    assert follow(session) == [Close(CloseCode.ENTITLEMENTS_CHANGED, "entitlements changed")]


def test_three_strikes_in_a_minute_are_the_end_and_old_ones_are_forgiven() -> None:
    session = an_open_session()
    ends = [
        any(isinstance(step, Close) for step in receive(session, b"{", NOW + timedelta(seconds=second)))
        for second in (0, 50, 70, 120, 125)
    ]
    assert ends == [False, False, False, False, True]


def test_a_malformed_body_is_no_strike() -> None:
    session = an_open_session()
    for _ in range(5):
        assert len(tell(session, "offer", offer_id="o-1", body={"revision": 0})) == 1


def test_pings_pongs_and_fragments_count_against_a_flood() -> None:
    session = an_open_session(frames_per_s=0.001, frame_burst=3)
    steps = [count(session) for _ in range(8)]
    assert steps[0] == []
    assert steps[-1] == [Close(CloseCode.RATE_LIMITED, "too many frames")]


def test_before_the_hello_a_few_frames_of_any_kind_are_all_there_may_be() -> None:
    early = Close(CloseCode.RATE_LIMITED, "too many frames before the hello")
    kinds: list[Callable[[Session], list[Step]]] = [
        count,
        binary,
        lambda session: tell(session, "subscribe", stream="prices"),
    ]
    for kind in kinds:
        session = a_session(early_frames=3, strikes=9)
        assert early not in [step for _ in range(3) for step in kind(session)]
        assert kind(session) == [early]
    session = a_session(early_frames=3)
    assert [count(session) for _ in range(2)] == [[], []]
    assert isinstance(tell(session, "hello", client="tests")[0], Welcome)
    assert [count(session) for _ in range(9)] == [[]] * 9
