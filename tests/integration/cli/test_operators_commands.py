"""An operator at a terminal: asks, changes the question, reads the book, clears, ends orders."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Ran, Up, ran

Operator = Callable[..., Ran]
CREATE = "request create --zone DE-LU --down 12MW --start +3h --for 45m --gate +1h"


@pytest.fixture
def operator(up: Up) -> Operator:
    """Runs a command as tso-north; the words may be one text."""

    def run(*words: str) -> Ran:
        return ran([word for text in words for word in text.split()], **up.towards())

    return run


@pytest.fixture
def request_id(operator: Operator) -> Iterator[str]:
    """An open request; taken back afterwards, so that the site's load is free again."""
    made = str(operator(CREATE, "--json").rows()[0]["request"]["request_id"])
    yield made
    operator(f"request cancel {made}")


def offer(
    up: Up, request_id: str, site: str = "fra-1", who: str = "acme-ai", *, terms: str = "12MW at 80", more: str = ""
) -> str:
    """One offer by the data center's own command; its id."""
    power, _, price = terms.split()
    words = ["offer", "create", request_id, "--power", power, "--price", price, "--site", site, "--json", *more.split()]
    offered = ran(words, **up.towards(f"participant-{who}"))
    assert offered.code == 0, offered.err
    return str(offered.rows()[0]["offer_id"])


def test_a_key_with_another_question_is_refused(operator: Operator) -> None:
    first = operator("request create --zone DE-LU --down 1MW --start +4h --for 1h --key once-1 --json")
    other = operator("request create --zone DE-LU --down 2MW --start +4h --for 1h --key once-1 --json")
    assert (first.code, other.code, other.out) == (0, 1, "")
    assert "--down: expected 1MW as this key has asked already, got 2MW" in other.err
    operator(f"request cancel {first.rows()[0]['request']['request_id']}")


def test_the_same_words_with_a_key_are_the_same_question_a_moment_later(operator: Operator) -> None:
    """+4h is another time then: whoever repeats a command whose answer was lost asks once."""
    words = "request create --zone DE-LU --down 1MW --for 1h --cap 120 --key again"
    for key, times in enumerate(("--start +4h", "--start +4h --gate +1h --decide +2h")):
        asked = f"{words}-{key} {times}"
        first, again = operator(f"{asked} --json"), operator(f"{asked} --json")
        assert (first.code, again.code) == (0, 0), again.err
        assert first.rows() == again.rows()
        assert operator(asked).out.startswith("asked already: ")
        for other in ("--for 2h", "--cap 121"):
            refused = operator(f"{asked} {other}")
            assert (refused.code, refused.out) == (1, "")
            assert f"{other.split()[0]}: expected " in refused.err
        operator(f"request cancel {first.rows()[0]['request']['request_id']}")


def test_a_request_is_listed_and_shown(operator: Operator, request_id: str) -> None:
    listed = operator("request list --zone DE-LU --state OPEN --json").rows()
    assert request_id in [view["request"]["request_id"] for view in listed]
    shown = operator(f"request show {request_id}")
    assert (shown.code, "12 MW down" in shown.out) == (0, True)


def test_an_amendment_changes_what_it_names_and_nothing_else(operator: Operator, request_id: str) -> None:
    before = operator(f"request show {request_id} --json").rows()[0]["request"]
    changed = operator(f"request amend {request_id} --power 10MW --cap 95.5 --json")
    assert changed.code == 0, changed.err
    after = changed.rows()[0]["request"]
    assert {name for name in before if before[name] != after[name]} == {"revision", "power_w", "price_cap_per_mwh"}
    assert (after["revision"], after["power_w"], after["price_cap_per_mwh"]) == (2, 10_000_000, "95.5")


def test_an_amendment_without_a_change_is_wrong_usage(operator: Operator, request_id: str) -> None:
    assert operator(f"request amend {request_id}").code == 2


def test_the_book_shows_the_offers_and_clearing_them_makes_orders(up: Up, operator: Operator, request_id: str) -> None:
    cheap = offer(up, request_id)
    dear = offer(up, request_id, "ber-1", "hyper-infer", terms="6MW at 95")
    book = operator(f"request book {request_id}")
    assert next(line for line in book.out.splitlines() if cheap in line).startswith("1 ")
    cleared = operator(f"request clear {request_id} --reason enough --json").rows()[0]
    lines = {line["offer_id"]: line for line in cleared["offers"]}
    assert (lines[cheap]["state"], lines[dear]["codes"]) == ("TENTATIVE", ["OUTBID"])
    (order,) = operator(f"order list --request {request_id} --json").rows()
    assert (order["state"], order["order"]["site"]) == ("ISSUED", "fra-1")
    assert operator(f"order show {order['order']['order_id']}").code == 0


def test_an_award_by_hand_names_its_pick(up: Up, operator: Operator, request_id: str) -> None:
    offer(up, request_id)
    dear = offer(up, request_id, "ber-1", "hyper-infer", terms="6MW at 95")
    pick = f"hyper-infer/{dear}/o1=6MW"
    awarded = operator(f"request award {request_id} --pick {pick} --reason topology --json")
    assert awarded.code == 0, awarded.err
    assert [award["offer_id"] for award in awarded.rows()[0]["clearings"][0]["awards"]] == [dear]
    assert operator(f"request award {request_id} --pick nonsense --reason x").code == 2


def test_an_order_ends_earlier_and_later_within_what_was_offered(up: Up, operator: Operator, request_id: str) -> None:
    offer(up, request_id)
    operator(f"request clear {request_id}")
    (order,) = operator(f"order list --request {request_id} --json").rows()
    order_id = order["order"]["order_id"]
    accepted = ran(["respond", "accept", order_id, "--site", "fra-1"], **up.towards("participant-acme-ai"))
    assert accepted.code == 0, accepted.err
    assert operator(f"order release {order_id} --end +3h10m").code == 2
    shown = operator(f"order show {order_id}")
    assert ("not metered yet" in shown.out, "metered, MW" in shown.out) == (True, False)
    released = operator(f"order release {order_id} --end +200m --json")
    assert released.code == 0, released.err
    extended = operator(f"order extend {order_id} --end +210m --reason longer --json")
    assert extended.code == 0, extended.err
    assert extended.rows()[0]["order"]["revision"] == 3
    too_long = operator(f"order extend {order_id} --end +10h")
    assert (too_long.code, too_long.err.startswith("gridsignal: --end: expected an end by 20")) == (1, True)


def test_an_order_is_extended_as_long_as_its_site_said_it_can_hold(up: Up, operator: Operator, request_id: str) -> None:
    asked = operator(f"request show {request_id} --json").rows()[0]["request"]
    ends_at = datetime.fromisoformat(asked["ends_at"])
    until = (ends_at + timedelta(minutes=20)).isoformat()
    early = ["offer", "create", request_id, "--power", "1MW", "--price", "80", "--site", "fra-1", "--until", "+1m"]
    refused = ran(early, **up.towards("participant-acme-ai"))
    assert (refused.code, refused.err.startswith("gridsignal: --until: expected the request's end (20")) == (2, True)
    offer(up, request_id, more=f"--until {until}")
    operator(f"request clear {request_id}")
    (order,) = operator(f"order list --request {request_id} --json").rows()
    order_id = order["order"]["order_id"]
    assert "can be extended until 20" in operator(f"order show {order_id}").out
    extended = operator(f"order extend {order_id} --end {until} --json")
    assert extended.code == 0, extended.err
    assert datetime.fromisoformat(extended.rows()[0]["order"]["ends_at"]) == ends_at + timedelta(minutes=20)
    assert "can't be extended: its site offered no longer" in operator(f"order show {order_id}").out


def test_one_order_is_taken_back(up: Up, operator: Operator, request_id: str) -> None:
    offer(up, request_id)
    operator(f"request clear {request_id}")
    (order,) = operator(f"order list --request {request_id} --json").rows()
    order_id = order["order"]["order_id"]
    cancelled, again = (operator(f"order cancel {order_id} --reason enough --json") for _ in range(2))
    assert (cancelled.code, again.code) == (0, 0), cancelled.err
    assert [ran.rows()[0]["state"] for ran in (cancelled, again)] == ["CANCELLED", "CANCELLED"]
    assert operator("order cancel never-ordered").code == 1
    assert operator("order cancel a/b").code == 2


@pytest.mark.parametrize("more", ["?x=1", "#x", "/book", "/../{}", "%20"])
def test_more_than_an_id_is_no_id(operator: Operator, request_id: str, more: str) -> None:
    for action in ("show", "cancel"):
        assert operator(f"request {action} {request_id}{more.format(request_id)}").code == 2
    assert operator(f"request show {request_id} --json").rows()[0]["state"] == "OPEN"


def test_cancelling_twice_is_fine(operator: Operator, request_id: str) -> None:
    first, again = operator(f"request cancel {request_id} --json"), operator(f"request cancel {request_id} --json")
    assert first.rows()[0]["state"] == again.rows()[0]["state"] == "CANCELLED"


def test_what_is_over_says_what_was_asked_and_waits_for_no_meter(up: Up, operator: Operator, request_id: str) -> None:
    offer(up, request_id)
    operator(f"request clear {request_id}")
    operator(f"request cancel {request_id}")
    book = operator(f"request book {request_id}")
    assert book.out.splitlines()[0] == f"{request_id}: CANCELLED, 12 MW asked"
    orders = operator(f"order list --request {request_id}")
    assert ("CANCELLED" in orders.out, "nothing to deliver" in orders.out) == (True, True)


def test_an_order_released_before_it_began_waits_for_no_meter(up: Up, operator: Operator, request_id: str) -> None:
    offer(up, request_id)
    operator(f"request clear {request_id}")
    (order,) = operator(f"order list --request {request_id} --json").rows()
    released = operator(f"order release {order['order']['order_id']} --reason enough")
    assert (released.code, "nothing to deliver" in released.out) == (0, True), released.err


def test_there_is_nothing_to_clear_without_offers(operator: Operator, request_id: str) -> None:
    nothing = operator(f"request clear {request_id}")
    assert (nothing.code, nothing.out, "expected an award" in nothing.err) == (1, "", True)


def test_an_operator_sees_where_it_could_ask_and_how_far_baselines_reach(up: Up, operator: Operator) -> None:
    seen, mine = operator("sites"), ran(["sites"], **up.towards("participant-acme-ai"))
    assert (seen.code, mine.code) == (0, 0)
    assert "muc-1" in seen.out
    assert "muc-1" not in mine.out
    assert "12 MW" in mine.out
    assert ("baseline until" in seen.out, "baseline until" in mine.out) == (True, False)
    assert ("minimum load" in seen.out, "minimum load" in mine.out) == (False, True)


def test_a_participant_sees_what_is_declared_for_its_site(up: Up) -> None:
    acme = up.towards("participant-acme-ai") | {"GRIDSIGNAL_SITE": "fra-1"}
    shown, rows = ran(["baseline", "show"], **acme), ran(["baseline", "show", "--json"], **acme).rows()
    assert (shown.code, "36 MW" in shown.out, {row["power_w"] for row in rows}) == (0, True, {36_000_000})
    long = ran(["baseline", "show", "--to", "+40d", "--json"], **acme)
    assert (long.code, len(long.rows()), long.rows()[-1]["ends_at"] > rows[-1]["ends_at"]) == (0, len(rows), True)
    rival = ran(["baseline", "show", "--site", "muc-1"], **acme)
    assert (rival.code, rival.err) == (1, "gridsignal: No such site, or you may not see it.\n")
    for wrong in (["--to", "2020-01-01T00:00Z"], ["--to", "tomorrow"], ["--api", "nonsense"], ["--site", ""]):
        assert ran(["baseline", "show", *wrong], **acme).code == 2
    away = ran(["baseline", "show", "--api", "http://127.0.0.1:1"], **acme)
    assert (away.code, "no dispatch door at 127.0.0.1:1" in away.err) == (3, True)


def test_lists_and_totals_are_sheets_of_what_their_json_says(up: Up, operator: Operator, request_id: str) -> None:
    offer(up, request_id)
    operator(f"request clear {request_id}")
    until = operator(f"request show {request_id} --json").rows()[0]["request"]["ends_at"]
    for words, named in (
        ("request list", "request_id"),
        (f"order list --request {request_id}", "order_id"),
        (f"totals --to {until}", "key"),
        (f"totals --by site --to {until}", "key"),
        ("sites", "site"),
    ):
        sheet, listed = operator(f"{words} --csv"), operator(f"{words} --json")
        assert (sheet.code, sheet.err) == (0, "")
        records = [row.get("request") or row.get("order") or row for row in listed.rows()]
        assert records
        assert [row[named] for row in csv.DictReader(StringIO(sheet.out))] == [record[named] for record in records]
        assert operator(words).code == 0
    both = operator("request list --csv --json")
    assert (both.code, "not allowed" in both.err) == (2, True)


def test_a_months_statement_is_shown_in_each_form_and_its_page_is_written(
    up: Up, operator: Operator, tmp_path: Path
) -> None:
    shown, told, sheet = (operator(f"statement 2024-05{form}") for form in ("", " --json", " --csv"))
    page = ran(["statement", "2024-05", "--page", str(tmp_path / "may.html")], **up.towards("participant-acme-ai"))

    assert [each.code for each in (shown, told, sheet, page)] == [0, 0, 0, 0], (shown.err, page.err)
    (statement,) = told.rows()
    assert (statement["month"], statement["count"], statement["orders"]) == ("2024-05", 0, [])
    assert sheet.out.startswith("month,order_id,")
    assert page.out == f"{tmp_path / 'may.html'}\n"
    assert "Statement of 2024-05 for participant:acme-ai" in (tmp_path / "may.html").read_text("utf-8")


def test_a_statement_of_what_is_no_month_names_what_is_one(operator: Operator) -> None:
    wrong = operator("statement 2024-5")
    assert (wrong.code, "expected a month such as 2024-05, got '2024-5'" in wrong.err) == (2, True)
    assert operator("statement 2024-05 --api http://127.0.0.1:1").code == 3
    assert operator("statement 2024-05 --csv --page x.html").code == 2
    nowhere = operator("statement 2024-05 --page /no/such/folder/may.html")
    assert (nowhere.code, "/no/such/folder/may.html" in nowhere.err, nowhere.out) == (2, True, "")


def test_lists_are_of_a_period_and_what_is_over_is_found_in_it(up: Up, operator: Operator, request_id: str) -> None:
    offer(up, request_id)
    operator(f"request clear {request_id}")
    mine = f"order list --request {request_id} --json"
    for words, found in ((mine, 1), (f"{mine} --to -1d", 0), (f"{mine} --from -1d", 1), (f"{mine} --from +4d", 0)):
        assert len(operator(words).rows()) == found
    for period, is_in in (("--from -1d", True), ("--from -1d --to +1d", True), ("--to -1d", False)):
        rows = operator(f"request list {period} --json").rows()
        assert (request_id in [row["request"]["request_id"] for row in rows]) == is_in
        sheet = operator(f"request list {period} --csv")
        assert (request_id in sheet.out) == is_in


def test_prices_are_those_of_the_present_day_unless_it_is_said_otherwise(operator: Operator) -> None:
    for words in ("", "--carbon", "--from -1d", "--from 2024-05-01 --to 2024-06-01", "--to -1d", "--as-of -1h"):
        asked = operator(f"prices --zone DE-LU {words}")
        assert asked.code == 0, asked.err
    october = operator("prices --zone DE-LU --from 2024-10-01 --to 2024-11-01")
    assert october.code == 0, october.err  # a month of 31 days and an hour


def test_totals_of_a_period_that_is_none_name_the_option(operator: Operator) -> None:
    wrong = operator("totals --from +2d --to +1d")
    assert (wrong.code, wrong.err) == (2, "gridsignal: --to: expected after from and at most 31 days later\n")
    assert operator("totals --by hour").code == 2


@pytest.mark.parametrize(
    ("product", "meant"),
    [("DR_FASTER", " (did you mean DR_FAST?)"), ("mfrr_eu", " (did you mean MFRR_EU?)"), ("x", "")],
)
def test_a_product_that_lays_down_nothing_says_so_and_is_shown(operator: Operator, product: str, meant: str) -> None:
    asked = operator(f"{CREATE} --product {product} --json")
    assert asked.code == 0, asked.err
    assert f"warning: no product {product} here: it lays down nothing{meant}\n" in asked.err
    request_id = asked.rows()[0]["request"]["request_id"]
    assert f"  product     {product}\n" in operator(f"request show {request_id}").out
    operator(f"request cancel {request_id}")
