"""A refusal of a REST door means the same to the SDK and to every command, whichever door it is."""

from __future__ import annotations

import argparse
import json
from typing import Any

import httpx2
import pytest

from gridsignal import GridsignalError
from gridsignal.cli import connection
from gridsignal.history import _answered
from gridsignal.problems import Meaning, meaning_of
from gridsignal_schemas.frames import Detail
from gridsignal_services.cli import api, ingest_door
from gridsignal_services.rest import problems
from gridsignal_services.rest.problems import Problem

ASKED = Detail(code="PERIOD", pointer="?to", message="expected after from")
WRITTEN = Detail(code="STEP", pointer="/step_w", message="expected a divisor")
ZONE = Detail(code="ZONE_UNKNOWN", pointer="?zone", message="expected one of yours")
REPORTED: dict[str, tuple[Problem, Meaning, int]] = {
    "no good token": (problems.unauthorized(), Meaning.TOKEN, 1),
    "not theirs": (problems.not_found("site"), Meaning.NOT_YOURS, 1),
    "not for them": (problems.operators_only(), Meaning.NOT_YOURS, 1),
    "a period that is none": (problems.invalid([ASKED]), Meaning.QUESTION, 2),
    "a parameter that is none": (problems.bad_request("PARAMETER", "?zones", "expected names"), Meaning.QUESTION, 2),
    "a zone in the address": (problems.invalid([ZONE]), Meaning.QUESTION, 2),
    "a zone in a body": (problems.invalid([ZONE.model_copy(update={"pointer": "/zone"})]), Meaning.QUESTION, 2),
    "a zone and more": (problems.invalid([ZONE, WRITTEN]), Meaning.REFUSED, 1),
    "a body with a fault": (problems.invalid([WRITTEN]), Meaning.REFUSED, 1),
    "both": (problems.invalid([ASKED, WRITTEN]), Meaning.REFUSED, 1),
    "a header that is none": (problems.bad_request("POSITION", "Gridsignal-Position", "expected"), Meaning.REFUSED, 1),
    "a conflict": (problems.conflict([WRITTEN]), Meaning.REFUSED, 1),
    "too many": (problems.rate_limited(1), Meaning.AGAIN, 3),
    "busy": (problems.busy(), Meaning.AGAIN, 3),
    "away": (problems.unavailable("the log is away"), Meaning.AGAIN, 3),
    "too slow": (problems.too_slow(), Meaning.AGAIN, 3),
    "our fault": (problems.internal(), Meaning.AGAIN, 3),
}


def code_of(answer: Any, status: int, body: bytes) -> int:
    """With which code a command ends that gets this answer."""
    request = httpx2.Request("GET", "http://door/v1/totals", headers={"Authorization": "Bearer token"})

    def work(_: argparse.Namespace) -> int:
        answer(httpx2.Response(status, content=body, request=request))
        return 0

    return api.exit_code(work, argparse.Namespace())


def code_of_sdk(status: int, body: bytes) -> int:
    """The same where the SDK asked for it, as all commands of data centers end."""
    with pytest.raises(GridsignalError) as raised:
        _answered(status, body)
    return connection.code_of(raised.value)


@pytest.mark.parametrize("of", REPORTED)
def test_a_problem_means_the_same_whoever_asked(of: str) -> None:
    problem, meaning, code = REPORTED[of]
    body = problem.body.model_dump_json().encode()
    assert meaning_of(problem.status, json.loads(body)) is meaning
    assert code_of(api.answer, problem.status, body) == code
    assert code_of(ingest_door.answer, problem.status, body) == code
    assert code_of_sdk(problem.status, body) == code


@pytest.mark.parametrize(
    ("status", "code"), [(200, 1), (302, 1), (404, 1), (422, 1), (500, 1), (502, 3), (503, 3), (504, 3)]
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"errors": 5}', b'{"errors": ["?to"]}'])
def test_what_something_in_front_answers_ends_no_command_with_a_traceback(status: int, code: int, body: bytes) -> None:
    assert code_of(api.answer, status, body) == code
    assert code_of(ingest_door.answer, status, body) == code
    if status != 200 or not body.startswith(b"{"):
        assert code_of_sdk(status, body) == code
