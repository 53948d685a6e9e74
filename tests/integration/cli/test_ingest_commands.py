"""`gridsignal ingest` and `gridsignal push` as a person types them: exit codes, one line for each mistake."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from tests.feed_documents import (
    a_day_of_prices,
    acknowledgement,
    as_json,
    half_hours,
    interval,
    minutes,
    openadr_event,
    pjm,
    pjm_message,
)
from tests.integration.cli.conftest import Up, ran, running

NOON = minutes("2024-05-12T12:00:00+00:00")


def parsed(tmp_path: Path, provider: str, body: bytes, *words: str) -> tuple[int, list[dict[str, object]], str]:
    file = tmp_path / "answer"
    file.write_bytes(body)
    done = ran(["ingest", "parse", provider, str(file), "--json", *words])
    return done.code, done.rows(), done.err


def test_a_saved_answer_is_told_as_it_would_be_published(tmp_path: Path) -> None:
    code, rows, _ = parsed(tmp_path, "entsoe", a_day_of_prices())
    assert (code, len(rows)) == (0, 1)
    assert (rows[0]["zone"], rows[0]["revision"], len(rows[0]["prices_per_mwh"])) == ("BE", 1, 96)  # type: ignore[arg-type]  # a list


@pytest.mark.parametrize(
    ("provider", "body", "words", "code", "key"),
    [
        ("entsoe", a_day_of_prices(), ["--zone", "FR"], 1, "quarantined"),
        ("entsoe", a_day_of_prices(), ["--now", "2020-01-01T00:00Z"], 1, "quarantined"),
        ("entsoe", acknowledgement("No matching data found"), [], 3, "not_yet"),
        ("entsoe", b"<html>", [], 1, "failed"),
        ("entsoe", b"", [], 3, "not_yet"),
        ("gb_carbon", as_json({"data": half_hours(NOON, [(100, 9999)])}), [], 1, "zone"),
        ("energy_charts", b"{}", [], 1, "failed"),
        ("openadr3", as_json([openadr_event(interval("SIMPLE", 1))]), [], 2, "failed"),
        ("openadr3", as_json([openadr_event(interval("SIMPLE", 1))]), ["--zone", "DE-LU"], 0, "alert_id"),
        ("us_emergency", pjm(pjm_message(pjmDrill="true")), [], 0, "is_drill"),
    ],
)
def test_the_exit_code_tells_figures_from_refusals_and_from_not_yet(
    tmp_path: Path, provider: str, body: bytes, words: list[str], code: int, key: str
) -> None:
    got, rows, _ = parsed(tmp_path, provider, body, *words)
    assert got == code
    assert key in rows[0]


@pytest.mark.parametrize(
    "words",
    [
        ["ingest"],
        ["ingest", "parse", "nobody", "x"],
        ["ingest", "parse", "entsoe", "/no/such/file"],
        ["ingest", "parse", "entsoe", "/"],
        ["ingest", "parse", "entsoe", "x", "--now", "yesterday"],
        ["ingest", "parse", "entsoe", "x", "--zone", "D E"],
        ["ingest", "fetch", "entsoe", "--zone", "FR"],
        ["ingest", "fetch", "gb_carbon", "--zone", "GB", "--from", "soon", "--to", "later"],
        ["ingest", "status"],
        ["ingest", "status", "--ingest", "nonsense"],
        ["push", "/no/such/file"],
        ["push", "x", "--timezone", "Mars/Olympus"],
        ["token", "mint", "--participant", "acme-ai", "--push"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_two(words: list[str]) -> None:
    wrong = ran(words)
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err


def test_a_door_that_is_away_is_three() -> None:
    assert ran(["ingest", "status", "--ingest", "http://127.0.0.1:1"], GRIDSIGNAL_TOKEN="a.b.c").code == 3


def ingest_address(up: Up) -> str:
    return re.search(r"for the feeds\s+(http://\S+)", up.greeting)[1]  # type: ignore[index]  # the greeting names it


def pushing(up: Up) -> dict[str, str]:
    minted = ran(["token", "mint", "--operator", "tso-north", "--push", "--directory", str(up.directory)])
    return {"GRIDSIGNAL_INGEST": ingest_address(up), "GRIDSIGNAL_TOKEN": minted.out.strip()}


def test_a_file_is_pushed_once_and_known_the_second_time(up: Up, tmp_path: Path) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = [f"{midnight + timedelta(hours=n):%Y-%m-%d %H:%M},{n}" for n in range(24)]
    file = tmp_path / "prices.csv"
    file.write_text("\n".join(["starts_at,price_per_mwh", *rows]))
    words = ["push", str(file), "--zone", "DE-LU", "--dataset", "X", "--currency", "EUR", "--timezone", "UTC", "--json"]
    assert [row["news"] for row in ran(words, **pushing(up)).rows()] == ["new"]
    assert [row["news"] for row in ran(words, **pushing(up)).rows()] == ["known"]
    dry = ran([*words, "--dry-run"])
    assert json.loads(dry.out)["body"]["resolution_s"] == 3600


def test_a_file_with_too_many_bad_lines_is_not_pushed_and_says_so(tmp_path: Path) -> None:
    (file := tmp_path / "prices.csv").write_text("starts_at,price_per_mwh\n2030-01-01T00:00Z,x\n2030-01-01T01:00Z,y\n")
    refused = ran(["push", str(file), "--zone", "DE-LU", "--dataset", "X", "--currency", "EUR"])
    assert (refused.code, refused.out, refused.err.rstrip().endswith("; nothing was pushed")) == (1, "", True)


def test_what_the_push_door_refuses_is_a_line_for_each_fault_and_one(up: Up, tmp_path: Path) -> None:
    file = tmp_path / "alert.json"
    file.write_text('{"alert_id": "x", "zone": "DE-LU"}')
    refused = ran(["push", str(file)], **pushing(up))
    faults = [line.partition(": expected a value")[0].split()[-1] for line in refused.err.splitlines()]
    assert (refused.code, refused.out, "/issued_at" in faults) == (1, "", True)
    assert all(fault.startswith("/") for fault in faults)


def test_status_shows_every_feed_of_a_running_door(tmp_path: Path) -> None:
    file = tmp_path / "feeds.toml"
    # a port that answers nobody: the feed is away, and says so
    file.write_text('[zones.GB]\ncarbon = ["gb_carbon"]\n[providers.gb_carbon]\naddress = "http://127.0.0.1:1"\n')
    with running(tmp_path / "stack", "--feeds", str(file)) as up:
        door = up.towards() | {"GRIDSIGNAL_INGEST": ingest_address(up)}
        (feed,) = ran(["ingest", "status", "--json"], **door).rows()
        while not feed["trouble"]:  # not asked yet
            (feed,) = ran(["ingest", "status", "--json"], **door).rows()
        assert (feed["provider"], feed["zone"], feed["signal"], feed["stale"]) == ("gb_carbon", "GB", "carbon", True)
        table = ran(["ingest", "status"], **door)
        assert (table.code, table.out.splitlines()[1].split()[:4]) == (1, ["gb_carbon", "GB", "carbon", "never"])
        ops = re.search(r"for yourself +(http://[^\s/]+)", up.greeting)
        assert ops is not None
        health = httpx2.get(f"{ops[1]}/healthz")
        assert (health.status_code, health.json()["ingest"]["live"]) == (200, True)  # nothing restarts it for that
        assert health.json()["ingest"]["reason"] == "none of 1 feeds gave figures in time"
        assert httpx2.get(f"{ingest_address(up)}/healthz").status_code == 200


def test_a_feed_without_its_secret_is_one_line_that_names_the_variable(tmp_path: Path) -> None:
    file = tmp_path / "feeds.toml"
    file.write_text('[zones.FR]\nprice = ["entsoe"]\n')
    refused = ran(["up", "--directory", str(tmp_path / "stack"), "--feeds", str(file)])
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "GRIDSIGNAL_FEED_ENTSOE_TOKEN" in refused.err
