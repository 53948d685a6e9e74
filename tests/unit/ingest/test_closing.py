"""Notices that are replaced, events that are listed no more."""

from __future__ import annotations

from datetime import timedelta

from gridsignal_schemas.messages import DispatchRequest, GridAlert, Record, RequestCancellation
from gridsignal_services.ingest.closing import Absences, superseded
from gridsignal_services.ingest.intake import Intake
from gridsignal_services.ingest.quarantine import QuarantinedRecord
from gridsignal_services.ingest.revisions import News, SeriesRevisions
from tests.builders import a_dispatch_request, a_grid_alert, utc

NOW = utc("16:00")
FEED = ("openadr3", "DE-LU")


def an_alert(**changes: object) -> GridAlert:
    return a_grid_alert(provider="openadr3", **changes)


def a_request(**changes: object) -> DispatchRequest:
    return a_dispatch_request(request_id="openadr3-1", **changes)


def published(*records: Record) -> SeriesRevisions:
    revisions = SeriesRevisions()
    for record in records:
        revisions.learn(record)
    return revisions


def test_what_is_left_out_once_may_be_a_page_that_moved_and_twice_is_over() -> None:
    absences, standing = Absences(), [an_alert(), a_request()]
    assert absences.closings(FEED, standing, [], NOW) == []
    assert absences.closings(FEED, standing, standing, NOW) == []
    assert absences.closings(FEED, standing, [], NOW) == []
    over = absences.closings(FEED, standing, [], NOW)
    assert [type(record) for record in over] == [GridAlert, RequestCancellation]
    assert isinstance(over[0], GridAlert)
    assert over[0].ends_at == NOW


def test_two_feeds_do_not_share_their_absences() -> None:
    absences, standing = Absences(), [an_alert()]
    assert absences.closings(FEED, standing, [], NOW) == []
    assert absences.closings(("openadr3", "FR"), standing, [], NOW) == []


def test_an_alert_that_had_not_begun_begins_and_ends_now() -> None:
    later = {"starts_at": NOW + timedelta(hours=1), "ends_at": NOW + timedelta(hours=2)}
    revisions = published(an_alert(issued_at=NOW, **later))
    absences = Absences()
    for _ in range(2):
        over = absences.closings(FEED, revisions.standing(*FEED, NOW), [], NOW)
    verdict = Intake(revisions=revisions).judge(over[0], "DE-LU", NOW)
    assert not isinstance(verdict, QuarantinedRecord)
    assert isinstance(verdict.publish, GridAlert)
    assert (verdict.publish.starts_at, verdict.publish.ends_at) == (NOW, NOW)


def test_only_what_is_the_feed_s_own_and_not_over_stands() -> None:
    revisions = published(
        an_alert(alert_id="mine"),
        an_alert(alert_id="past", ends_at=NOW - timedelta(minutes=1)),
        an_alert(alert_id="elsewhere", zone="FR"),
        a_grid_alert(alert_id="somebody-else-s"),
        a_request(),
        a_dispatch_request(request_id="by-hand"),
    )
    standing = revisions.standing(*FEED, NOW)
    assert [getattr(r, "alert_id", None) or getattr(r, "request_id", None) for r in standing] == ["mine", "openadr3-1"]


def test_a_cancelled_request_no_longer_stands_and_is_not_asked_again() -> None:
    revisions = published(a_request())
    absences = Absences()
    for _ in range(2):
        over = absences.closings(FEED, revisions.standing(*FEED, NOW), [], NOW)
    verdict = revisions.judge(over[0])
    assert (verdict.news, verdict.publish) == (News.NEW, over[0])
    revisions.learn(over[0])
    assert revisions.standing(*FEED, NOW) == []
    assert revisions.judge(a_request(power_w=1)).news is News.KNOWN


def test_a_newer_notice_ends_the_one_it_replaces_with_all_its_windows() -> None:
    old = [an_alert(alert_id=name) for name in ("n-1", "n-1-2", "n-12")]
    newer = an_alert(alert_id="n-2", supersedes="n-1", issued_at=NOW)
    over = superseded(newer, published(*old))
    assert [(r.alert_id, r.ends_at) for r in over if isinstance(r, GridAlert)] == [("n-1", NOW), ("n-1-2", NOW)]


def test_a_replaced_notice_stays_ended_although_the_feed_still_lists_it() -> None:
    old, newer = an_alert(alert_id="n-1"), an_alert(alert_id="n-2", supersedes="n-1", issued_at=NOW)
    revisions = published(old, newer)
    (over,) = superseded(newer, revisions)
    verdict = revisions.judge(over)
    assert isinstance(verdict.publish, GridAlert)
    assert (verdict.news, verdict.publish.revision) == (News.CORRECTED, old.revision + 1)
    revisions.learn(verdict.publish)
    assert revisions.judge(old).news is News.KNOWN
    assert superseded(newer, revisions) == []


def test_a_request_that_the_ledger_would_refuse_is_set_aside_with_its_rule() -> None:
    aside = Intake().judge(a_request(), "DE-LU", utc("17:30"))
    assert isinstance(aside, QuarantinedRecord)
    assert [reason.code for reason in aside.reasons] == ["gate_closure"]
