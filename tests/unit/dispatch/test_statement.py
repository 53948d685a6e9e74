"""A month's statement: what is in it, what it adds up to, and that its page says the same and runs nothing."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal import Settlement
from gridsignal_schemas.frames import Receipt
from gridsignal_schemas.messages.settlements import MissingPeriod, SettledInterval
from gridsignal_schemas.rules.lifecycle import SettlementState
from gridsignal_schemas.sheets import Sheet
from gridsignal_services.dispatch.listing import cut
from gridsignal_services.dispatch.statement import (
    Month,
    Statement,
    StatementLine,
    StatementOrder,
    Sums,
    statement_lines,
    statement_order,
)
from gridsignal_services.dispatch.statement_page import statement_page
from gridsignal_services.ledger.tracked import SettledOrder, TrackedDispute, TrackedSettlement
from tests.builders import a_settlement, a_settlement_dispute, an_order, utc

BERLIN, LONDON = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/London")
TIMES = {"DE-LU": BERLIN}
HOSTILE = "</dd><script>alert('1')</script><img src=x onerror=alert(1)> & \"quoted\" ]]> <!-- ="
VOID = {"meta"}

moments = st.integers(0, 98 * 365 * 86_400).map(
    lambda second: datetime(2001, 1, 2, tzinfo=UTC) + timedelta(seconds=second)
)
zone_times = st.sampled_from(["Europe/Berlin", "Europe/London", "America/New_York", "Australia/Lord_Howe", "UTC"])
energies = st.none() | st.integers(0, 10**9)


@st.composite
def settlements(draw: st.DrawFn) -> Settlement:
    """Of up to five quarter hours, whose total is that of its lines and its fee."""
    begins = utc("18:00")
    lines = [
        SettledInterval(
            starts_at=begins + timedelta(minutes=15 * at),
            ends_at=begins + timedelta(minutes=15 * at + 15),
            ordered_wh=draw(st.integers(0, 10**9)),
            baseline_wh=draw(energies),
            actual_wh=draw(st.none() | st.integers(-(10**9), 10**9)),
            delivered_wh=draw(energies),
            deficiency_wh=draw(energies),
            ramp_ok=draw(st.none() | st.booleans()),
            qualities=[],
            amount=draw(st.none() | st.decimals(-(10**9), 10**9, places=4)),
        )
        for at in range(draw(st.integers(0, 5)))
    ]
    fee = draw(st.none() | st.decimals(0, 10**6, places=4))
    missing = [MissingPeriod(starts_at=x.starts_at, ends_at=x.ends_at, code="METER") for x in lines if x.amount is None]
    return a_settlement(
        intervals=lines,
        activation_fee=fee,
        total=sum((line.amount or Decimal(0) for line in lines), fee or Decimal(0)),
        currency=draw(st.sampled_from(["EUR", "GBP", "JPY"])),
        missing=missing,
    )


def order_of(settlement: Settlement | None, number: int = 0, *disputes: TrackedDispute) -> StatementOrder:
    of = SettledOrder.named_by(settlement or a_settlement(), timedelta(days=14), utc("18:45"))
    tracked = TrackedSettlement("", of, utc("18:45"))
    if settlement is not None:
        tracked.newest, tracked.logged_at = settlement, utc("20:00")
        tracked.state = SettlementState.PROVISIONAL
    tracked.disputes = list(disputes)
    return statement_order(an_order(order_id=f"order-{number}"), tracked)


def statement_of(*orders: StatementOrder) -> Statement:
    sums = Sums()
    for order in orders:
        sums.add(order.settlement)
    return Statement(
        month="2024-05",
        of="participant:acme-ai",
        as_of=utc("21:00"),
        zone=None,
        site=None,
        count=len(orders),
        unsettled=sums.unsettled,
        totals=sums.totals(),
        carbon=[],
        orders=list(orders),
        next=None,
    )


def page_of(statement: Statement) -> str:
    return "".join(statement_page(statement, statement.orders, TIMES))


def lines_in(statement: Statement) -> list[StatementLine]:
    return [line for order in statement.orders for line in statement_lines(statement.month, order)]


# --- months -----------------------------------------------------------------------------------------------------


@given(moments, zone_times)
def test_every_moment_lies_in_the_month_of_its_local_date_alone(moment: datetime, name: str) -> None:
    there = ZoneInfo(name)
    local = moment.astimezone(there)
    month = Month(local.year, local.month)
    before = Month(month.year - (month.number == 1), (month.number - 2) % 12 + 1)
    after = Month(month.year + month.number // 12, month.number % 12 + 1)

    assert [each.has(moment, there) for each in (before, month, after)] == [False, True, False]
    assert (before.ends(there), month.ends(there)) == (month.begins(there), after.begins(there))


@pytest.mark.parametrize(
    ("month", "zone_time", "begins", "hours"),
    [
        ("2024-03", BERLIN, "2024-02-29T23:00Z", 31 * 24 - 1),
        ("2024-10", BERLIN, "2024-09-30T22:00Z", 31 * 24 + 1),
        ("2024-12", LONDON, "2024-12-01T00:00Z", 31 * 24),
        ("2024-02", BERLIN, "2024-01-31T23:00Z", 29 * 24),
    ],
)
def test_a_month_is_as_long_as_its_local_clock_has_it(month: str, zone_time: ZoneInfo, begins: str, hours: int) -> None:
    parsed = Month.parse(month)
    assert parsed.begins(zone_time) == datetime.fromisoformat(begins)
    assert parsed.ends(zone_time) - parsed.begins(zone_time) == timedelta(hours=hours)


def test_an_order_at_local_midnight_is_of_the_month_that_begins() -> None:
    midnight = datetime(2024, 6, 1, tzinfo=BERLIN).astimezone(UTC)
    assert midnight.month == 5
    assert Month.parse("2024-06").has(midnight, BERLIN)
    assert Month.parse("2024-05").has(midnight - timedelta(microseconds=1), BERLIN)


@pytest.mark.parametrize(
    "text", ["", "2024-5", "2024-13", "2024-00", "24-05", "2024-05-01", "../05", "1999-12", "\uff12024-05"]
)
def test_what_is_no_month_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="expected a month such as 2024-05"):
        Month.parse(text)


# --- sums -------------------------------------------------------------------------------------------------------


@given(st.lists(st.none() | settlements()))
def test_totals_are_the_sums_of_the_records_by_currency(records: list[Settlement | None]) -> None:
    statement = statement_of(*map(order_of, records))

    known = [record for record in records if record is not None]
    assert statement.unsettled == len(records) - len(known)
    assert [total.currency for total in statement.totals] == sorted({record.currency for record in known})
    for total in statement.totals:
        mine = [record for record in known if record.currency == total.currency]
        assert (total.orders, total.total) == (len(mine), sum(record.total for record in mine))
        assert total.interval_amounts + total.activation_fees == total.total
        assert total.ordered_wh == sum(line.ordered_wh for record in mine for line in record.intervals)


def test_sums_are_exact_where_a_context_of_28_digits_is_not() -> None:
    sums, widest = Sums(), Decimal("99999999999999.9999")
    for _ in range(12):
        sums.add(a_settlement(total=widest, intervals=[]))
    assert sums.totals()[0].total == Decimal("1199999999999999.9988")


@given(st.lists(st.none() | settlements()))
def test_the_amounts_of_a_sheets_rows_add_up_to_the_totals(records: list[Settlement | None]) -> None:
    statement = statement_of(*(order_of(record, at) for at, record in enumerate(records)))

    rows = rows_of(statement)

    sums: Counter[str] = Counter()
    for row in rows:
        sums[row["currency"]] += Decimal(row["amount"] or 0)
    assert {total.currency: total.total for total in statement.totals} == {
        currency: amount for currency, amount in sums.items() if currency
    }
    assert {row["order_id"] for row in rows} == {order.order_id for order in statement.orders}, "none is left out"
    intervals = [row for row in rows if row["kind"] == "INTERVAL"]
    assert len(intervals) == sum(len(record.intervals) for record in records if record)
    assert [row["missing"] for row in intervals] == ["" if row["amount"] else "METER" for row in intervals]


@given(st.lists(st.integers(0, 50), min_size=1), st.integers(1, 100))
def test_a_page_is_cut_where_its_lines_are_too_many_and_never_empty(lengths: list[int], most: int) -> None:
    chosen = cut(((str(at), length) for at, length in enumerate(lengths)), most)

    assert chosen == [str(at) for at in range(len(chosen))]
    assert len(chosen) == 1 or sum(lengths[: len(chosen)]) <= most
    assert len(chosen) == len(lengths) or sum(lengths[: len(chosen) + 1]) > most


# --- the page ---------------------------------------------------------------------------------------------------


class Read(HTMLParser):
    """A page as a browser reads it. Raises AssertionError where an element ends that is not open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.elements, self.texts = list[str](), list[tuple[str, dict[str, str | None]]](), list[str]()
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@given(st.lists(st.none() | settlements(), max_size=4))
def test_a_page_is_well_formed_and_says_all_that_the_json_says(records: list[Settlement | None]) -> None:
    statement = statement_of(*(order_of(record, at) for at, record in enumerate(records)))

    said = " ".join(Read(page_of(statement)).texts)

    words = Counter(said.replace(",", " ").split())
    # times are local on the page, what an order and its settlement both say stands there once, and older logs' places
    # in the log nowhere
    unsaid: dict[str, Any] = dict.fromkeys(("zone", "request_id", "participant", "site", "order_id"), True)
    unsaid |= {"inputs": {"position", "readings_position"}}
    told = statement.model_dump(mode="json", exclude={"orders": {"__all__": {"settlement": unsaid}}})
    figures = Counter(figures_of(told))
    assert figures - words == Counter()


def test_a_page_shows_what_is_missing_and_what_is_not_settled() -> None:
    lines = a_settlement().intervals
    gap = MissingPeriod(starts_at=lines[1].starts_at, ends_at=lines[1].ends_at, code="METER_MISSING")
    unknown = lines[1].model_copy(update=dict.fromkeys(("actual_wh", "delivered_wh", "deficiency_wh", "amount")))
    settlement = a_settlement(intervals=[lines[0], unknown, lines[2]], missing=[gap], total="540")

    page = Read(page_of(statement_of(order_of(settlement), order_of(None, 1))))

    assert page.texts.count("METER_MISSING") == 1  # the table of what has no figures; beside it, with its qualities
    assert "OK METER_MISSING" in page.texts
    assert "This order is over and not settled so far: no total has it." in page.texts
    kinds = Counter(attributes.get("class") for tag, attributes in page.elements if tag == "rect")
    assert kinds == {"whole": 3, "part": 2, "unknown": 1}
    assert "2024-05-12 20:00:00+02:00" in page.texts, "by the zone's clock"


def test_whatever_somebody_wrote_is_text() -> None:
    receipt = Receipt(offer_id="o", revision=1, sha256="0" * 64, received_at=utc("20:00"))
    dispute = a_settlement_dispute(text=HOSTILE, actor=HOSTILE)
    order = order_of(a_settlement(reason=HOSTILE), 0, TrackedDispute(dispute, receipt))
    statement = statement_of(order)

    page = page_of(statement)

    read = Read(page)
    assert {tag for tag, _ in read.elements}.isdisjoint({"script", "img", "link", "iframe", "object", "a"})
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    assert (read.texts.count(HOSTILE), "<script" in page) == (3, False), "as it was written, and nothing but text"
    formula = "=cmd|' /C calc'!A0"
    (row, *_) = rows_of(statement_of(order_of(a_settlement(reason=formula))))
    assert row["reason"] == f"'{formula}", "nor a formula in a sheet"


def test_a_page_asks_nothing_of_a_network() -> None:
    page = page_of(statement_of(order_of(a_settlement())))
    read = Read(page)
    assert not [key for _, attributes in read.elements for key in attributes if key in ("src", "href", "action")]
    assert ("url(" in page, "@import" in page, "@media print" in page) == (False, False, True)


def rows_of(statement: Statement) -> list[dict[str, str]]:
    rows = [line.model_dump(mode="json") for line in lines_in(statement)]
    return list(csv.DictReader(StringIO(Sheet.of("", StatementLine).text(rows))))


def figures_of(value: Any) -> Iterator[str]:
    """Every number, amount, hash, code and id in a JSON value."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name not in ("starts_at", "ends_at", "ended_at"):
                yield from figures_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from figures_of(each)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, str):
        yield from value.replace(",", " ").split()
