"""`gridsignal meter report` says what became of a reading, on the stack and on the gateway in memory."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from gridsignal.testing import FakeGrid
from gridsignal_services.embedded import Stack
from tests.integration.typed import Typed, typing_at

SAME = ("meter", "report", "--from", "2024-05-12T18:00+02:00")


@pytest.fixture(params=["stack", "fake"])
async def where(request: pytest.FixtureRequest, stack: Stack) -> AsyncIterator[dict[str, str]]:
    if request.param == "stack":
        yield {"url": stack.gateway_url, "api": stack.api_url, "token": stack.token("participant", "acme-ai")}
    else:
        async with FakeGrid() as fake:
            yield {"url": fake.url, "api": fake.api, "token": fake.token}


@pytest.fixture
def typed(where: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    return typing_at(where, monkeypatch, capsys)


async def test_a_reading_is_kept_known_contradicted_or_corrected(typed: Typed) -> None:
    """Each once, and the command says which."""
    steps = [
        (["--import", "24MW"], 0, "kept"),
        (["--import", "24MW"], 0, "already known"),
        (["--import", "23MW"], 1, "--seq: expected 1906145 or more in order to correct it, got 1906144"),
        (["--import", "23MW", "--seq", "1906145"], 0, "corrected"),
        (["--import", "24MW"], 1, "that counts says import 23 MW (seq 1906145)"),
        (["--import", "5MW", "--meter", "other"], 0, "kept"),
        (["--import", "20MW", "--for", "1h"], 1, "that counts says import 23 MW"),
    ]
    for words, code, told in steps:
        left = await typed(*SAME, *words)
        assert (left.code, told in left.out + left.err) == (code, True), (words, left)
        assert "2024-05-12 18:00+0200" in left.out + left.err


async def test_a_reading_names_its_certificates(typed: Typed) -> None:
    named = ("--import", "24MW", "--certificate", "gc-7=250kWh,WIND", "--certificate", "gc/8")
    assert ("kept" in (await typed(*SAME, *named)).out, (await typed(*SAME, *named)).code) == (True, 0)
    other = await typed(*SAME, "--import", "24MW", "--certificate", "gc-7=251kWh")
    assert (other.code, "expected 1906145 or more in order to correct it" in other.err) == (1, True)


@pytest.mark.parametrize(
    ("certificates", "told"),
    [
        (["gc-7=250"], "expected an energy in whole Wh such as 250kWh or 1MWh, got '250'"),
        (["gc-7=250kW"], "expected an energy in whole Wh such as 250kWh or 1MWh, got '250kW'"),
        (["gc-7=0.5Wh"], "expected an energy in whole Wh such as 250kWh or 1MWh, got '0.5Wh'"),
        (["gc 7"], "certificate_id: expected 1 to 128 letters, digits, _, ., :, / and -, got 'gc 7'"),
        (["gc-7=1MWh,on shore"], "source: expected 1 to 64 letters, digits, - and _, got 'on shore'"),
        (["gc-7", "gc-7=1MWh"], "--certificate: expected each certificate_id once, got 'gc-7' twice"),
        ([f"gc-{n}" for n in range(17)], "--certificate: expected at most 16 values, got a list of 17"),
    ],
)
async def test_a_certificate_that_can_not_be_one_is_refused(typed: Typed, certificates: list[str], told: str) -> None:
    left = await typed(*SAME, "--import", "24MW", *(f"--certificate={each}" for each in certificates))
    assert (left.code, told in left.err) == (2, True), left.err


async def test_programs_read_what_became_of_it(typed: Typed) -> None:
    first, again = [(await typed(*SAME, "--import", "24MW", "--json")).rows()[0] for _ in range(2)]
    assert (first["state"], again["state"], first["seq"]) == ("KEPT", "KNOWN", 1906144)
    assert "received_at" in first


async def test_where_it_can_not_be_asked_whether_a_reading_counts_it_was_received(typed: Typed) -> None:
    left = await typed(*SAME, "--import", "24MW", "--api", "http://127.0.0.1:1")
    assert left.code == 0
    assert re.search(r", seq 1906144: received at \S+ \S+; whether it counts could not be asked\n$", left.out), left.out
    assert "no dispatch door at 127.0.0.1:1" in left.err
    (told,) = (await typed(*SAME, "--import", "24MW", "--api", "http://127.0.0.1:1", "--json")).rows()
    assert told["state"] == "UNKNOWN"


async def test_a_door_that_does_not_know_the_site_says_so_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with FakeGrid() as fake, FakeGrid(sites={"muc-1": "DE-LU"}) as other:
        typed = typing_at({"url": fake.url, "api": other.api, "token": fake.token}, monkeypatch, capsys)
        left = await typed(*SAME, "--import", "24MW", "--json")
    assert (left.code, left.rows()[0]["state"]) == (0, "UNKNOWN")
    assert left.err == "gridsignal: No such site, or you may not see it.\n"


async def test_a_reading_that_is_none_is_refused(typed: Typed) -> None:
    for words in (["--seq", "-1"], ["--seq", "many"], ["--for", "0s"]):
        assert (await typed(*SAME, "--import", "24MW", *words)).code == 2
    long = await typed(*SAME, "--import", "24MW", "--for", "2d")
    assert (long.code, long.out) == (1, "")
