"""The command line, as a person and as a script meet it: real processes against a gateway in memory."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gridsignal import MW, FlexOffer, OrderResponse
from gridsignal.__main__ import COMMANDS
from gridsignal.testing import FakeGrid
from gridsignal_schemas.messages import OfferWithdrawal
from tests.builders import a_grid_alert, a_spot_price
from tests.patience import SOON_S


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


async def started(*words: str, stdout: int = PIPE, **environment: str) -> Process:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GRIDSIGNAL_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-m",
        "gridsignal",
        *words,
        env=clean | environment,
        stdin=DEVNULL,
        stdout=stdout,
        stderr=PIPE,
    )


async def ran(*words: str, **environment: str) -> Ran:
    process = await started(*words, **environment)
    async with asyncio.timeout(3 * SOON_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Ran(process.returncode, out.decode(errors="replace"), err.decode())


@pytest.fixture
async def fake() -> AsyncIterator[FakeGrid]:
    async with FakeGrid() as standing:
        yield standing


def towards(fake: FakeGrid) -> dict[str, str]:
    return {"GRIDSIGNAL_URL": fake.url, "GRIDSIGNAL_TOKEN": fake.token, "GRIDSIGNAL_SITE": "fra-1"}


# --- the table of commands --------------------------------------------------------------------------------------


async def test_help_lists_every_command_and_an_example() -> None:
    shown = await ran("--help")
    assert shown.code == 0
    assert all(f"  {name} " in shown.out for name in COMMANDS)
    assert "example:" in shown.out


async def test_the_version_is_said() -> None:
    assert (await ran("--version")).out.startswith("gridsignal ")


@pytest.mark.parametrize("words", [[], ["whatch"], ["watch"], ["watch", "weather"], ["offer", "create"]])
async def test_a_wrong_command_line_is_two(words: list[str]) -> None:
    assert (await ran(*words)).code == 2


@pytest.mark.parametrize("name", ["watch", "offer", "respond"])
async def test_each_command_helps_with_an_example(name: str) -> None:
    shown = await ran(name, "--help")
    assert shown.code == 0
    assert f"gridsignal {name}" in shown.out
    assert "example" in shown.out


@pytest.mark.parametrize("shell", ["bash", "zsh"])
async def test_a_shell_gets_its_completion(shell: str) -> None:
    script = await ran("completion", shell)
    assert script.code == 0
    assert "watch" in script.out
    assert "withdraw" in script.out


async def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ModuleNotFoundError(\"No module named 'rich'\", name='rich')", "utf-8")
    told = await ran("watch", "prices", PYTHONPATH=str(tmp_path))
    assert told.code == 2
    assert told.err == "gridsignal: watch needs rich: pip install '.[cli]' in the project's folder\n"


@pytest.fixture
def without_kafka(tmp_path: Path) -> dict[str, str]:
    """An environment in which the extra `kafka` is not installed."""
    (tmp_path / "aiokafka.py").write_text("raise ModuleNotFoundError('no aiokafka', name='aiokafka')", "utf-8")
    return {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize("name", ["serve", "topics", "schemas", "demo"])
async def test_help_needs_no_extra(name: str, without_kafka: dict[str, str]) -> None:
    assert (await ran(name, "--help", **without_kafka)).code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "gateway", "--kafka", "127.0.0.1:1", "--schema-registry", "http://127.0.0.1:1"],
        ["topics", "apply", "--kafka", "127.0.0.1:1"],
        ["schemas", "register", "--kafka", "127.0.0.1:1", "--schema-registry", "http://127.0.0.1:1"],
        ["demo", "--log", "kafka://127.0.0.1:1", "--schema-registry", "http://127.0.0.1:1"],
    ],
    ids=lambda words: words[0],
)
async def test_what_needs_an_extra_names_it(words: list[str], without_kafka: dict[str, str]) -> None:
    told, hint = await ran(*words, **without_kafka), "pip install '.[kafka]' in the project's folder"
    assert (told.code, told.err) == (2, f"gridsignal: {words[0]} needs aiokafka: {hint}\n")


async def test_the_help_of_every_command_needs_no_extra_but_those_of_the_readme(tmp_path: Path) -> None:
    """What `make embedded` installs is the extra `server`; with less the help says at least what to install."""
    (tmp_path / "without.py").write_text(WITHOUT, "utf-8")

    async def helps(*missing: str) -> list[Any]:
        names, folder = ",".join(missing), str(tmp_path)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "without.py", names), cwd=folder, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(3 * SOON_S):
            told, _ = await process.communicate()
        assert process.returncode == 0
        return list(json.loads(told))

    shown = await helps("numpy", "highspy", "aiokafka", "redis", "pandas", "aiomqtt", "pynvml", "yaml")
    assert [name for name, code, out in shown if code or "example" not in out] == []
    shown = await helps("rich")
    assert {code for _, code, _ in shown} == {0}
    assert "needs rich: pip install '.[cli]' in the project's folder" in {name: out for name, _, out in shown}["watch"]


WITHOUT = """
import contextlib, io, json, sys


class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Without())
from gridsignal.__main__ import COMMANDS, main

shown = []
for name in COMMANDS:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        try:
            code = main([name, "--help"])
        except SystemExit as ended:
            code = ended.code or 0
    shown.append([name, code, out.getvalue()])
print(json.dumps(shown))
"""
"""Prints of each command how `--help` ends and what it says, where some modules are not installed."""


# --- watch ------------------------------------------------------------------------------------------------------


async def test_prices_are_shown_in_the_markets_time(fake: FakeGrid) -> None:
    fake.publish(a_spot_price())
    shown = await ran("watch", "prices", "--zone", "DE-LU", "--once", **towards(fake))
    assert shown.code == 0
    assert "2024-05-12 13:00+0200   -135.45" in shown.out


async def test_prices_for_scripts_are_records_in_utc(fake: FakeGrid) -> None:
    fake.publish(a_spot_price())
    (row,) = (await ran("watch", "prices", "--json", "--once", **towards(fake))).rows()
    assert (row["type"], row["starts_at"], row["prices_per_mwh"][0]) == ("SpotPrice", "2024-05-11T22:00:00Z", "65.49")


async def test_watching_requests_shows_nothing_else(fake: FakeGrid) -> None:
    fake.ask(12 * MW)
    fake.publish(a_spot_price())
    (row,) = (await ran("watch", "requests", "--json", "--once", **towards(fake))).rows()
    assert row["type"] == "DispatchRequest"


@pytest.mark.parametrize(("name", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
async def test_watching_follows_what_is_new_until_it_is_ended(fake: FakeGrid, name: signal.Signals, code: int) -> None:
    fake.publish(a_spot_price())
    watching = await started("watch", "prices", "--json", **towards(fake))
    assert watching.stdout is not None
    async with asyncio.timeout(3 * SOON_S):
        assert json.loads(await watching.stdout.readline())["revision"] == 1
        fake.publish(a_spot_price(revision=2))
        assert json.loads(await watching.stdout.readline())["revision"] == 2
        watching.send_signal(name)
        _, err = await watching.communicate()
    assert watching.returncode == code
    assert err == b""


async def test_a_watcher_whose_reader_has_gone_ends_though_no_signal_comes(fake: FakeGrid) -> None:
    fake.publish(a_spot_price())
    reading, writing = os.pipe()
    watching = await started("watch", "prices", "--json", stdout=writing, **towards(fake))
    os.close(writing)
    async with asyncio.timeout(3 * SOON_S):
        await asyncio.to_thread(os.read, reading, 1)
        os.close(reading)
        _, err = await watching.communicate()
    assert (watching.returncode, err) == (1, b"")


@pytest.mark.parametrize("what", ["prices", "carbon", "alerts", "requests", "dispatch"])
async def test_a_look_at_nothing_says_so(what: str, fake: FakeGrid) -> None:
    looked = await ran("watch", what, "--zone", "DE-LU", "--once", **towards(fake))
    assert (looked.code, looked.out, looked.err) == (0, "", f"gridsignal: no {what} in DE-LU now\n")


# --- offer and respond ------------------------------------------------------------------------------------------


async def test_an_offer_is_made_shown_and_taken_back(fake: FakeGrid) -> None:
    request = fake.ask(12 * MW)
    made = await ran(
        "offer", "create", request.request_id, "--power", "9.2MW", "--price", "89.90", "--json", **towards(fake)
    )
    (receipt,) = made.rows()
    offer = await fake.next(FlexOffer)
    assert (made.code, receipt["offer_id"]) == (0, offer.offer_id)
    assert offer.options[0].power_w == 9_200_000
    shown = await ran("offer", "show", offer.offer_id, **towards(fake))
    assert "LIVE" in shown.out
    taken = await ran("offer", "withdraw", offer.offer_id, "--reason", "a job came in", **towards(fake))
    assert taken.code == 0
    assert (await fake.next(OfferWithdrawal)).reason == "a job came in"


async def test_an_offer_on_nothing_and_a_refused_one_are_one(fake: FakeGrid) -> None:
    words = ["--power", "12MW", "--price", "90"]
    nothing = await ran("offer", "create", "no-such-request", *words, **towards(fake))
    assert (nothing.code, "No open request 'no-such-request'" in nothing.err) == (1, True)
    request = fake.ask(12 * MW)
    fake.refuse("forbidden")
    refused = await ran("offer", "create", request.request_id, *words, **towards(fake))
    assert (refused.code, "was refused: forbidden" in refused.err) == (1, True)


async def test_what_is_not_a_power_is_two(fake: FakeGrid) -> None:
    told = await ran("offer", "create", "r", "--power", "lots", "--price", "90", **towards(fake))
    assert (told.code, "expected a power such as 12MW" in told.err) == (2, True)


async def test_an_order_is_accepted_by_hand(fake: FakeGrid) -> None:
    request = fake.ask(12 * MW)
    await ran("offer", "create", request.request_id, "--power", "12MW", "--price", "90", **towards(fake))
    order = fake.award(await fake.next(FlexOffer))
    answered = await ran("respond", "accept", order.order_id, "--power", "8MW", **towards(fake))
    assert answered.code == 0
    accepted = await fake.next(OrderResponse, response="ACCEPTED")
    assert (accepted.order_id, accepted.accepted_w) == (order.order_id, 8 * MW)


@pytest.mark.parametrize(
    "words",
    [
        ["offer", "create", "r", "--power", "12MW", "--price", "90"],
        ["offer", "withdraw", "o"],
        ["respond", "accept", "o"],
        ["baseline", "declare", "--power", "36MW"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
async def test_a_site_that_is_not_named_is_asked_for(words: list[str], fake: FakeGrid) -> None:
    there = towards(fake) | {"GRIDSIGNAL_SITE": ""}
    told = await ran(*words, **there)
    assert (told.code, told.err) == (2, "gridsignal: --site is missing (or GRIDSIGNAL_SITE).\n")


@pytest.mark.parametrize("words", [["offer", "list"], ["watch", "requests", "--zone", "DE-LU", "--once"]], ids=" ".join)
async def test_who_has_no_site_looks_at_all_there_is(words: list[str], fake: FakeGrid) -> None:
    """An operator's terminal says of its site that there is none."""
    told = await ran(*words, **towards(fake) | {"GRIDSIGNAL_SITE": ""})
    assert (told.code, "Traceback" in told.err, "site" in told.err) == (0, False, False), told.err


async def test_an_expired_token_is_called_expired(fake: FakeGrid) -> None:
    claims = urlsafe_b64encode(json.dumps({"exp": 1715515200}).encode()).decode().rstrip("=")
    told = await ran("watch", "prices", **towards(fake) | {"GRIDSIGNAL_TOKEN": f"e30.{claims}.c2ln"})
    assert (told.code, told.err) == (1, "gridsignal: the token expired at 2024-05-12T12:00:00Z\n")


# --- exit codes -------------------------------------------------------------------------------------------------


async def test_no_token_is_two_and_no_secret_is_ever_an_argument(fake: FakeGrid) -> None:
    told = await ran("watch", "prices", GRIDSIGNAL_URL=fake.url)
    assert (told.code, "GRIDSIGNAL_TOKEN" in told.err) == (2, True)
    assert "--token " not in (await ran("watch", "--help")).out


async def test_a_token_can_lie_in_a_file(fake: FakeGrid, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(fake.token + "\n", "utf-8")
    words = ("watch", "alerts", "--once", "--token-file", str(tmp_path / "token"))
    assert (await ran(*words, GRIDSIGNAL_URL=fake.url)).code == 0


async def test_a_token_nobody_takes_is_one(fake: FakeGrid) -> None:
    told = await ran("watch", "prices", **towards(fake) | {"GRIDSIGNAL_TOKEN": "forged"})
    assert told.code == 1
    assert "forged" not in told.err


async def test_no_gateway_is_three(fake: FakeGrid) -> None:
    await fake.stop()
    told = await ran("watch", "prices", **towards(fake))
    assert (told.code, "no gateway" in told.err) == (3, True)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
async def test_a_letter_that_the_terminal_lacks_is_spelled_out(encoding: str, fake: FakeGrid) -> None:
    fake.publish(a_grid_alert(text="Łódź: zbyt mało mocy, Köln €"))
    shown = await ran("watch", "alerts", "--once", PYTHONIOENCODING=encoding, **towards(fake))
    assert (shown.code, shown.err) == (0, "")
    assert ("Łódź" in shown.out) == (encoding == "utf-8")
