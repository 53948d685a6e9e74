"""What is wrong with what was typed is told with the option that said it, by every command that sends something."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gridsignal.answers import baseline_body, reading_body, response_body
from gridsignal.cli import baseline, meter, offer, respond, standing
from gridsignal.cli.words import in_their_words, reason_in, refusal_in
from gridsignal.errors import refusal
from gridsignal.offers import SHED, offer_body, option_for, standing_body
from gridsignal_schemas.frames import Detail
from gridsignal_services.cli import alert, amend, create, order, request
from tests.builders import a_dispatch_order, a_dispatch_request
from tests.unit.test_help import parsers

NOW = datetime(2030, 5, 12, tzinfo=UTC)
SENT: dict[str, Mapping[str, str]] = {
    "request create": create.WORDS,
    "request amend": amend.WORDS,
    "request clear": request.WORDS,
    "request cancel": request.WORDS,
    "request award": request.AWARDED,
    "alert create": alert.WORDS,
    "alert clear": alert.CLEARED,
    "offer create": offer.WORDS,
    "offer stand": standing.WORDS,
    "offer withdraw": offer.WITHDRAWN,
    "baseline declare": baseline.WORDS,
    "meter report": meter.WORDS,
    **{f"order {action}": order.WORDS for action in ("extend", "release", "cancel")},
    **{f"respond {action}": respond.WORDS for action in respond._ACTIONS},
}
SEND = {"create", "amend", "clear", "cancel", "award", "withdraw", "declare", "report", "extend", "release", "stand"}
NOT_SENT = {
    *("--help", "--json", "--csv", "--api", "--url", "--token-file", "--ca", "--cert", "--cert-key"),
    *("--signing-key", "--ingest"),
    *("--respond", "--activation"),  # of one field each: told below
}
FILLED_IN = {"point", "quality", "zone", "participant", "actor", "at", "flexibility", "option", "options"}
"""Fields that nobody types and nobody can get wrong."""


def commands() -> dict[str, argparse.ArgumentParser]:
    return {parser.prog.removeprefix("gridsignal "): parser for parser in parsers()}


def named(parser: argparse.ArgumentParser) -> set[str]:
    """What a person types for a parser: its options and its arguments."""
    found = set(parser._option_string_actions)
    return found | {str(action.metavar) for action in parser._actions if not action.option_strings}


def test_every_command_that_sends_something_has_words_for_it() -> None:
    actions = {name for name in commands() if " " in name}
    sends = {name for name in actions if name.split()[-1] in SEND or name.startswith("respond ")}
    assert sends - {"agent release"} == set(SENT)  # the agent's jobs are its cluster's


@pytest.mark.parametrize("command", SENT)
def test_what_it_names_can_be_typed_and_what_can_be_typed_it_names(command: str) -> None:
    parser = commands()[command]
    siblings = [each for name, each in commands().items() if name.split()[0] == command.split()[0]]
    assert set(SENT[command].values()) <= {word for each in siblings for word in named(each)}
    options = {action.option_strings[-1] for action in parser._actions if action.option_strings}
    told = set(SENT[command].values()) | ({"--up"} if command == "request create" else set())
    if command in ("request create", "request amend"):
        told |= {"--for", "--key"}
    assert options - NOT_SENT <= told, command


def bodies() -> dict[str, dict[str, Any]]:
    """What each command sends."""
    line = "--down 12MW --zone DE-LU --start 2030-05-13 --for 1h --cap 1 --deficiency 1 --min 1MW --pricing pay_as_bid"
    asked = create.body_of(commands()["request create"].parse_args(line.split()), NOW)
    question = a_dispatch_request()
    option = option_for(question, 1, "1", {})
    terms: dict[str, Any] = {"flexibility": SHED, "expires_at": None, "site": "s", "revision": 1, "offer_id": "o"}
    offered = offer_body(question, option, **terms)
    once: dict[str, Any] = {"ends_at": NOW + timedelta(days=1), "full_activation_s": 120, "max_duration_s": 60}
    once |= {"starts_at": NOW, "rest_s": 1, "max_activations_per_day": 1}
    said: dict[str, Any] = {"currency": "EUR", "hours": [], "offer_id": "o", "revision": 1}
    stands = standing_body("EMERGENCY_SHED", 1, "1", once, flexibility=SHED, site="s", **said)
    hour = {"starts_at": NOW, "ends_at": NOW + timedelta(hours=1)}
    answered = response_body(a_dispatch_order(), "ACCEPTED", actor=None, at=NOW, accepted_w=1, reason_code="x")
    return {
        "request create": asked,
        "request amend": dict.fromkeys(amend._FIELDS.values()),
        "request award": {"reason": "", "picks": []},
        "order extend": {"ends_at": "", "reason": ""},
        "offer create": offered | offered["options"][0],
        "offer stand": stands | stands["options"][0] | stands["standing"],
        "respond accept": answered,
        "baseline declare": baseline_body("s", NOW, [1], 900, "flat"),
        "meter report": reading_body("s", {"meter": "m", "import_w": 1, **hour}),
    }


@pytest.mark.parametrize("command", bodies())
def test_a_bad_value_of_each_field_is_told_with_what_was_typed(command: str) -> None:
    words = SENT[command]
    typed = {
        word for name, parser in commands().items() if name.split()[0] == command.split()[0] for word in named(parser)
    }
    for field in bodies()[command]:
        if field in FILLED_IN - set(words) or field == "min_duration_s":
            continue
        for pointer in (f"/{field}", f"/{field}/0", f"/options/0/{field}"):
            told = in_their_words(pointer, f"expected less than {field}, got more", words)
            assert told.split(":")[0] in typed, (command, field, told)
            assert "/" not in told


def test_faults_and_reasons_lose_their_pointers_and_keep_what_was_expected_and_got() -> None:
    words = {"power_w": "--power", "starts_at": "--from", "": "ORDER_ID"}
    details = [Detail(code="POWER", pointer="/options/0/power_w", message="expected 1, got 2")]
    details += [Detail(code="STATE", pointer="", message="expected a time after starts_at (now)")]
    refused = refusal_in(refusal("invalid", details, "respond 0190-uuid"), words)
    assert refused == "--power: expected 1W, got 2W (POWER)\n  ORDER_ID: expected a time after --from (now) (STATE)"
    reason = "/options/0/power_w: expected 1, got 2; /starts_at: expected a/b: c"
    assert reason_in(reason, words) == "--power: expected 1, got 2; --from: expected a/b: c"
    assert refusal_in(refusal("forbidden", [], "offer o-1"), words) == "offer o-1 was refused: forbidden"


@pytest.mark.parametrize(
    ("pointer", "message", "told"),
    [
        ("/power_w", "expected 1 to 12000000, got 13000000", "--x: expected 1W to 12MW, got 13MW"),
        ("/options/0/power_w", "expected at most 1500, got 1234567", "--x: expected at most 1.5kW, got 1234.567kW"),
        ("/full_activation_s", "expected 750 by MFRR_EU 1, got 900", "--x: expected 750s by MFRR_EU 1, got 15m"),
        ("/respond_within_s", "expected at least 7200, got 0", "--x: expected at least 2h, got 0s"),
        ("/notice_s", "expected at most 60 s, got 2.5", "--x: expected at most 1m, got 2.5"),
        ("/revision", "expected 2, got 3", "--x: expected 2, got 3"),
    ],
)
def test_powers_and_spans_are_told_as_they_are_typed(pointer: str, message: str, told: str) -> None:
    assert in_their_words(pointer, message, {pointer.rpartition("/")[2]: "--x"}) == told
