"""Whatever is typed gets one line and an exit code: 1 refused, 2 wrong usage, 3 unavailable; never a traceback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from gridsignal_services.registry import example_registry_text
from gridsignal_services.settlement.rules import SettlementRule
from tests.integration.cli.conftest import Up, ran
from tests.patience import SOON_S

CANARY = "canary-77aa"
CREATE = ["request", "create", "--zone", "DE-LU", "--down", "12MW", "--for", "45m", "--start"]


@pytest.mark.parametrize(
    "words",
    [
        ["request"],
        ["request", "create"],
        ["request", "create", "--zone", "DE-LU", "--down", "1MW", "--up", "1MW", "--start", "+1h", "--for", "1h"],
        [*CREATE, "tomorrow"],
        [*CREATE, "2030-01-01T00:00"],
        [*CREATE, "9999-12-31T23:59-23:00"],
        [*CREATE, "0001-01-01T00:00+23:00"],
        [*CREATE, "+0h"],
        [*CREATE, "+3h", "--cap", "cheap"],
        [*CREATE, "+3h", "--cap", "90EUR"],
        [*CREATE, "+3h", "--min", "12"],
        [*CREATE, "+99999999999999d"],
        [*CREATE, "+1h", "--gate", "-h"],
        ["request", "create", "--zone", "DE-LU", "--down", "a lot", "--start", "+1h", "--for", "1h"],
        ["request", "create", "--zone", "DE-LU", "--down", "0MW", "--start", "+1h", "--for", "1h"],
        ["request", "create", "--zone", "DE-LU", "--down", "9" * 400, "--start", "+1h", "--for", "1h"],
        ["request", "create", "--zone", "DE-LU", "--down", "0." + "9" * 400, "--start", "+1h", "--for", "1h"],
        ["request", "create", "--zone", "DE-LU", "--down", "11GW", "--start", "+1h", "--for", "1h"],
        ["offer", "create", "x", "--power", "9" * 400 + "MW", "--price", "90"],
        ["respond", "accept", "x", "--power", "1.5W"],
        ["request", "award", "x", "--pick", "a/b=1MW", "--reason", "r"],
        ["request", "award", "x", "--pick", "a/b/c=1MW"],
        ["order", "extend", "x"],
        ["settle", "dispute", "x", "--site", "fra-1", "--code", ""],
        ["settle", "dispute", "x", "--site", "fra-1", "--code", "c", "--claim", "much"],
        ["settle", "reject", "x", "--code", "c", "--reason", ""],
        ["token", "mint"],
        ["token", "mint", "--participant", 'a "b"'],
        ["up", "--gateway-port", "x"],
        ["up", "--gateway-port", "65536"],
        ["serve", "gateway", "--port", "-1"],
        ["demo", "--seed", "x"],
        ["token", "mint", "--participant", "a", "--for", "0s"],
        ["check-config"],
    ],
    ids=lambda words: " ".join(words)[:80],
)
def test_wrong_usage_is_two(words: list[str]) -> None:
    wrong = ran(words, GRIDSIGNAL_TOKEN=CANARY)
    assert (wrong.code, wrong.out) == (2, "")
    assert CANARY not in wrong.err


@pytest.mark.parametrize("content", [b"", b"a\nb", "tök€n".encode(), b"\xff\xfe", b"a b"], ids=repr)
def test_a_file_that_holds_no_token_is_two(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "some.token"
    file.write_bytes(content)
    wrong = ran(["request", "list", "--token-file", str(file)])
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)


def test_no_token_at_all_is_two() -> None:
    assert ran(["request", "list"]).code == 2
    assert ran(["order", "list", "--token-file", "/no/such/file"]).code == 2


def test_a_door_that_is_away_is_three() -> None:
    away = ran(["request", "list", "--api", "http://127.0.0.1:1"], GRIDSIGNAL_TOKEN=CANARY)
    assert (away.code, away.err.count("\n"), CANARY in away.err) == (3, 1, False)
    assert "Connection refused" in away.err


def test_an_expired_token_is_called_expired(up: Up) -> None:
    words = ["token", "mint", "--operator", "tso-north", "--for", "1s", "--directory", str(up.directory)]
    token = ran(words).out.strip()
    issued = datetime.now(UTC)
    while ran(["request", "list"], **up.towards() | {"GRIDSIGNAL_TOKEN": token}).code == 0:
        assert datetime.now(UTC) < issued + timedelta(seconds=SOON_S)
    refused = ran(["request", "list"], **up.towards() | {"GRIDSIGNAL_TOKEN": token})
    assert (refused.code, refused.err.startswith("gridsignal: the token expired at 20")) == (1, True)
    shown = ran(["token", "show", "--directory", str(up.directory)], stdin=token)
    assert (shown.code, shown.err) == (1, refused.err)


@pytest.mark.parametrize("api", ["nonsense", "ftp://127.0.0.1", "http://"])
def test_an_address_that_is_none_is_two(api: str) -> None:
    assert ran(["request", "list", "--api", api], GRIDSIGNAL_TOKEN=CANARY).code == 2


def test_another_server_is_told_from_the_door() -> None:
    def welcome(page: BaseHTTPRequestHandler) -> None:
        page.send_response(200)
        page.send_header("Content-Type", "text/html")
        page.end_headers()
        page.wfile.write(b"<html>welcome</html>")

    silent = {"do_GET": welcome, "log_message": lambda *_: None}
    Page = type("Page", (BaseHTTPRequestHandler,), silent)  # noqa: N806 - a class
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        wrong = ran(["request", "list", "--api", f"http://127.0.0.1:{server.server_port}"], GRIDSIGNAL_TOKEN=CANARY)
        server.shutdown()
        thread.join()
    assert (wrong.code, "dispatch door" in wrong.err) == (1, True)


def test_a_token_nobody_minted_is_refused_and_not_shown(up: Up) -> None:
    wrong = ran(["request", "list"], **up.towards() | {"GRIDSIGNAL_TOKEN": CANARY})
    assert (wrong.code, CANARY in wrong.err) == (1, False)


@pytest.mark.parametrize("request_id", ["../../healthz", "..", "a?b=c", "a/book", "é", "%2e%2e", "x" * 65, ""])
def test_what_is_no_id_goes_nowhere(request_id: str, up: Up) -> None:
    for action in ("show", "book", "cancel"):
        wrong = ran(["request", action, request_id], **up.towards())
        assert (wrong.code, wrong.out, wrong.err.count("\n")) == (2, "", 1)


def test_every_fault_of_a_request_is_told(up: Up) -> None:
    words = [*CREATE, "+2h", "--gate", "2020-01-01T00:00Z", "--min", "13MW"]
    refused = ran(words, **up.towards())
    assert refused.code == 1
    assert all(option in refused.err for option in ("--gate: expected", "--min: expected at most --down (12000000)"))
    assert "_" not in refused.err


def test_a_participant_can_not_ask(up: Up) -> None:
    refused = ran([*CREATE, "+3h"], **up.towards("participant-acme-ai"))
    assert (refused.code, "dispatch:write" in refused.err) == (1, True)


def test_a_read_only_token_reads_only(up: Up) -> None:
    words = ["token", "mint", "--operator", "tso-north", "--read-only", "--directory", str(up.directory)]
    reader = up.towards() | {"GRIDSIGNAL_TOKEN": ran(words).out.strip()}
    assert ran(["request", "list"], **reader).code == 0
    assert ran([*CREATE, "+3h"], **reader).code == 1


@pytest.mark.parametrize("text", ["", "a.b.c", "\udcff"], ids=["nothing", "no token", "no text"])
def test_a_text_that_is_no_token_is_refused(text: str, up: Up) -> None:
    stdin = text.encode("utf-8", "surrogateescape")
    assert ran(["token", "show", "--directory", str(up.directory)], stdin=stdin).code == 1


def test_no_issuer_no_token(tmp_path: Path) -> None:
    assert ran(["token", "mint", "--operator", "x", "--directory", str(tmp_path)]).code == 2


def test_check_config_tells_every_fault(tmp_path: Path) -> None:
    file = tmp_path / "sites.toml"
    file.write_text('[zones.DE-LU]\ncurrency = "eur"\ntimezone = "Europe/Berlin"\ncolour = 1\n')
    wrong = ran(["check-config", str(file)])
    assert wrong.code == 2
    assert all(f"zones.DE-LU.{key}: expected" in wrong.err for key in ("currency", "colour"))
    assert ran(["check-config", str(tmp_path / "none.toml")]).code == 2


def test_check_config_counts_what_a_good_registry_holds(tmp_path: Path) -> None:
    file = tmp_path / "sites.toml"
    file.write_text(example_registry_text())
    good = ran(["check-config", str(file), "--json"])
    assert (good.code, good.rows()) == (
        0,
        [{"zones": 3, "operators": 2, "participants": 3, "sites": 4, "warnings": []}],
    )


def test_check_config_warns_of_a_product_that_charges_what_lacks_and_lets_silence_pass(tmp_path: Path) -> None:
    file = tmp_path / "sites.toml"
    rule = SettlementRule(name="dear", version=1, deficiency_price_per_mwh=Decimal(40))
    row = f'[rules.dear]\nversion = 1\nsha256 = "{rule.sha256}"\nparameters = {{ deficiency_price_per_mwh = "40" }}\n'
    file.write_text(example_registry_text() + row + '[products.a]\nsettlement = "dear 1"\n')
    warned = ran(["check-config", str(file)])
    assert warned.code == 0
    assert "warning: products.a.settlement: dear 1 charges what lacks" in warned.err
    assert "who sends no readings owes nothing" in ran(["check-config", str(file), "--json"]).rows()[0]["warnings"][0]


@pytest.mark.parametrize(
    "words",
    [
        ["order", "show", "never-ordered"],
        ["order", "release", "never-ordered"],
        [*CREATE, "+3h", "--gate", "-1h"],
    ],
    ids=" ".join,
)
def test_what_the_door_refuses_is_one(words: list[str], up: Up) -> None:
    refused = ran(words, **up.towards())
    assert (refused.code, refused.out, bool(refused.err)) == (1, "", True)


@pytest.mark.parametrize(
    "words",
    [
        ["request", "list", "--state", "OPENED"],
        ["request", "list", "--state", "OPENED", "--csv"],
        ["request", "list", "--zone", "XX"],
        ["request", "create", "--zone", "GB", "--down", "12MW", "--start", "+3h", "--for", "45m"],
        ["request", "list", "--zone", "GB"],
        ["order", "list", "--state", "OPENED"],
        ["totals", "--from", "+2d", "--to", "+1d"],
        ["statement", "2024-13"],
        ["statement", "2024-05", "--zone", "GB"],
        ["prices", "--zone", "DE-LU", "--from", "+2d", "--to", "+1d"],
        ["baseline", "show", "--site", "fra-1", "--from", "+2d", "--to", "+1d"],
    ],
    ids=" ".join,
)
def test_a_question_that_no_door_can_answer_is_two(words: list[str], up: Up) -> None:
    asked = ran(words, **up.towards())
    assert (asked.code, asked.out, bool(asked.err)) == (2, "", True)


@pytest.mark.parametrize("terms", [["--price", "500"], ["--price", "90", "--power", "55MW"]], ids=["cap", "site"])
def test_an_offer_that_is_rejected_a_moment_later_is_one_and_says_why(terms: list[str], up: Up) -> None:
    asked = ran([*CREATE, "+3h", "--cap", "120", "--json"], **up.towards()).rows()[0]["request"]["request_id"]
    acme = up.towards("participant-acme-ai") | {"GRIDSIGNAL_SITE": "fra-1"}
    words = ["offer", "create", asked, "--power", "12MW", *terms]
    plain, json_ = ran(words, **acme), ran([*words, "--json"], **acme)
    (told,) = json_.rows()
    assert (plain.code, json_.code, told["state"]) == (1, 1, "REJECTED")
    assert told["codes"]
    assert all(code in plain.out for code in told["codes"])
    assert told["reason"].partition(": ")[2] in plain.out
    shown = ran(["offer", "show", told["offer_id"]], **acme)
    assert (shown.code, told["reason"].partition(": ")[2] in shown.out) == (0, True)
    ran(["request", "cancel", asked], **up.towards())


def test_an_answer_to_what_is_over_says_so(up: Up) -> None:
    acme = up.towards("participant-acme-ai") | {"GRIDSIGNAL_SITE": "fra-1"}
    nothing = ran(["respond", "accept", "never-ordered"], **acme)
    assert (nothing.code, nothing.err.startswith("gridsignal: No order 'never-ordered' for fra-1")) == (1, True)


def test_a_start_too_soon_is_told_in_the_words_that_were_typed(up: Up) -> None:
    soon = ran([*CREATE, "+5m"], **up.towards())
    assert (soon.code, soon.err.count("\n")) == (2, 1)
    assert all(word in soon.err for word in ("--start", "start at 20", "--respond", "--activation"))
    at = soon.err.partition("start at ")[2].split()[0]
    again = ran([*CREATE, at, "--json"], **up.towards())
    assert again.code == 0, again.err
    ran(["request", "cancel", again.rows()[0]["request"]["request_id"]], **up.towards())


def test_a_request_is_shown_with_everything_that_binds(up: Up) -> None:
    terms = ["--cap", "120.5", "--deficiency", "40", "--text", "evening peak", "--min", "2MW", "--only", "acme-ai"]
    day = (datetime.now(UTC) + timedelta(days=2)).date()
    times = [f"{day}T10:00:30Z", "--gate", f"{day}T01:00:59Z"]
    words = [*CREATE, *times, *terms, "--dry-run", "--pricing", "pay_as_cleared"]
    asked = ran([*words, "--json"], **up.towards())
    assert asked.code == 0, asked.err
    request_id = asked.rows()[0]["request"]["request_id"]
    shown = ran(["request", "show", request_id], **up.towards()).out
    for part in ("revision 1", "OPEN", "12 MW down", "evening peak", "120.5 EUR/MWh", "40 EUR/MWh", "2 MW", "DRY_RUN"):
        assert part in shown
    for part in ("LISTED to acme-ai", "PAY_AS_CLEARED", ":00:59", ":00:30", ":45:30"):
        assert part in shown
    ran(["request", "cancel", request_id], **up.towards())


@pytest.mark.parametrize("state", ["open", "Open", "OPEN"])
def test_a_state_may_be_typed_in_any_case(state: str, up: Up) -> None:
    assert ran(["request", "list", "--state", state], **up.towards()).code == 0
