"""Every command that a help or the README shows does what it says, on a running stack."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from datetime import date
from importlib import import_module
from pathlib import Path

import pytest

from gridsignal.__main__ import COMMANDS
from gridsignal_services.registry import example_registry_text
from tests.integration.cli.conftest import Ran, Up, ran
from tests.patience import LONG_S
from tests.reading_files import a_month_of_hours, an_hour_of_regulation
from tests.settling_cases import uftp

ROOT = Path(__file__).parents[3]
MARKET = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "clearing.md").read_text("utf-8"), re.DOTALL)[0]
REQUEST, OFFER, ORDER = (f"018f6b3c-7a00-7000-8000-00000000000{n}" for n in (1, 2, 3))
ELSEWHERE = {
    "alert": "needs an alert that an operator pushed: test_alert_commands",
    "up": "runs until it is stopped: test_up",
    "serve": "needs a cluster: tests/journey/test_several_doors",
    "area": "needs an area in the registry: tests/integration/dispatch/test_areas",
    "doctor": "looks at ports and folders of its own: test_doctor",
    "log": "needs a log of its own: test_log",
    "topics": "needs a cluster: tests/integration/bus",
    "schemas": "needs a registry: tests/integration/registry",
    "demo": "plays a day: tests/journey/test_the_demo_tells_the_truth",
    "ingest": "reads public feeds: test_ingest_commands",
    "push": "test_ingest_commands",
    "agent": "runs until it is stopped: tests/journey/test_the_agent",
    "completion": "tests/integration/test_client_commands",
}
"""Commands whose examples are parsed here and run there."""


def shown() -> Iterator[str]:
    """The command lines of all helps and of the README, continued lines joined, once each."""
    texts = [import_module(command.module).EXAMPLE for command in COMMANDS.values()]
    texts += re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    lines = [line.strip() for text in texts for line in text.replace("\\\n", " ").splitlines()]
    yield from dict.fromkeys(line for line in lines if line.startswith("gridsignal "))


def words_of(line: str) -> list[str]:
    """A line's words, without what a shell does with them."""
    words = shlex.split(line, comments=True)[1:]
    return words[: next((at for at, word in enumerate(words) if word in ("<", ">", "|")), len(words))]


LINES = list(shown())
SLOW = re.compile("gridsignal (settle (show|dispute|reject|verify ORDER_ID)|regulation replay)")
"""Orders are settled an hour after their end: tests/integration/dispatch/test_settlements, tests/integration/audit.
A signal takes its time: test_regulation_replay."""
AUDIT = [line for line in LINES if words_of(line)[0] == "audit"]
HERE = [line for line in LINES if words_of(line)[0] not in ELSEWHERE and not SLOW.match(line) and line not in AUDIT]


@pytest.mark.parametrize("line", LINES)
def test_it_is_understood(line: str) -> None:
    name, *rest = words_of(line)
    if name in COMMANDS:
        import_module(COMMANDS[name].module).parser().parse_args(rest)


class Stage:
    """A request, an offer and an order of their own for each line, as far as it needs them."""

    def __init__(self, up: Up, folder: Path) -> None:
        self.up, self.folder = up, folder
        self.ids = {name: f"no-{name}" for name in ("request", "offer", "order")}

    def __call__(self, line: str, **environment: str) -> Ran:
        """Runs a line as whoever its command is for, with this stage's ids in place of those shown."""
        for placeholders, name in (((REQUEST, "REQUEST_ID"), "request"), ((OFFER, "OFFER_ID"), "offer")):
            for placeholder in placeholders:
                line = line.replace(placeholder, self.ids[name])
        line = line.replace(ORDER, self.ids["order"]).replace("ORDER_ID", self.ids["order"])
        who = "operator-tso-north" if line.split()[1] in ("request", "order", "totals") else "participant-acme-ai"
        if "muc-1" in line:
            who = "participant-volt-colo"
        if line.split()[1] == "watch" and "--once" not in line:
            line += " --once"
        there = {"GRIDSIGNAL_DIRECTORY": str(self.up.directory)} if "token init" not in line else {}
        return ran(line, cwd=self.folder, **self.up.towards(who) | there | environment)

    def done(self, line: str) -> Ran:
        happened = self(line)
        assert happened.code == 0, happened.err
        return happened

    def asked(self) -> None:
        create = "gridsignal request create --zone DE-LU --down 12MW --start +3h --for 45m --gate +1h --json"
        self.ids["request"] = self.done(create).rows()[0]["request"]["request_id"]

    def asked_soon(self) -> None:
        """As soon as this machine allows, on which one command takes so long."""
        began_s = time.monotonic()
        self.done("gridsignal request list --json")
        slow = max(1.0, time.monotonic() - began_s)
        gate, decide, respond = (round(slow * seconds) for seconds in (5, 6, 5))
        start = max(round(slow * 12), decide + respond + 1)  # a second for the activation, however they were rounded
        create = f"gridsignal request create --zone DE-LU --down 12MW --start +{start}s --for 2h --activation 1s"
        asked = self.done(f"{create} --gate +{gate}s --decide +{decide}s --respond {respond}s --json")
        self.ids["request"] = asked.rows()[0]["request"]["request_id"]

    def offered(self) -> None:
        offer = "gridsignal offer create REQUEST_ID --site fra-1 --power 12MW --price 80 --json"
        self.ids["offer"] = self.done(offer).rows()[0]["offer_id"]

    def metered(self) -> None:
        self.done("gridsignal meter report --site fra-1 --from 2024-05-14T08:00+02:00 --for 12h --import 24MW --seq 1")

    def keyed(self) -> None:
        self.done("gridsignal key new --for tso-north.example --out acme.key.json")

    def ordered(self) -> None:
        self.done("gridsignal request clear REQUEST_ID")
        (order,) = self.done("gridsignal order list --request REQUEST_ID --json").rows()
        self.ids["order"] = order["order"]["order_id"]

    def accepted(self) -> None:
        self.done("gridsignal respond accept ORDER_ID --site fra-1")

    def cleared(self) -> None:
        """By itself, at the gate's closure; and its offer is under a signed head."""
        last = time.monotonic() + LONG_S
        for line in ("gridsignal order list --request REQUEST_ID --json", "gridsignal audit prove offer OFFER_ID"):
            while not (happened := self(line)).out:
                assert time.monotonic() < last, happened.err

    def released(self) -> None:
        self.done("gridsignal order release ORDER_ID --end +30m")

    def begun(self) -> None:
        last = time.monotonic() + LONG_S
        while self.done("gridsignal order show ORDER_ID --json").rows()[0]["state"] != "ACTIVE":
            assert time.monotonic() < last, "its period never began"


NEEDS: list[tuple[str, list[Callable[[Stage], None]]]] = [
    ("order extend", [Stage.asked_soon, Stage.offered, Stage.ordered, Stage.accepted, Stage.released]),
    ("order release", [Stage.asked, Stage.offered, Stage.ordered, Stage.accepted]),
    ("respond unavailable", [Stage.asked, Stage.offered, Stage.ordered, Stage.accepted]),
    ("events [A-Z]", [Stage.asked, Stage.offered, Stage.ordered]),
    ("respond|order (show|cancel)", [Stage.asked, Stage.offered, Stage.ordered]),
    ("offer (show|withdraw|list)|request (clear|award)", [Stage.asked, Stage.offered]),
    ("baseline comp", [Stage.metered]),
    ("key show", [Stage.keyed]),
    ("offer create|request (show|book|amend|cancel)|order list|baseline fixed", [Stage.asked]),
]  # fmt: skip


OF_A_RUNNING_ORDER = re.compile("respond (started|sustaining|unavailable|completed)")
BREAKS_OFF = re.compile("respond unavailable(?!.* --power)")
"""Where nothing is possible any more the order is over: it is one of its own."""


@pytest.fixture(scope="module")
def running_order(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An order whose period has begun: one for all, for it takes its time to begin."""
    made = Stage(up, tmp_path_factory.mktemp("order"))
    for step in (Stage.asked_soon, Stage.offered, Stage.ordered, Stage.accepted, Stage.begun):
        step(made)
    yield made
    made("gridsignal request cancel REQUEST_ID")


@pytest.fixture
def stage(up: Up, tmp_path: Path) -> Iterator[Stage]:
    """In a folder with the files that the lines name; the request is taken back afterwards."""
    (tmp_path / "acme.token").write_bytes((up.directory / "tokens" / "participant-acme-ai.token").read_bytes())
    (tmp_path / "tso.token").write_bytes((up.directory / "tokens" / "operator-tso-north.token").read_bytes())
    (tmp_path / "operator.token").write_bytes((tmp_path / "tso.token").read_bytes())
    (tmp_path / "sites.toml").write_text(example_registry_text(), "utf-8")
    (tmp_path / "prices-of-a-year.csv").write_text(
        "zone,start_utc,price,currency_per_mwh,price_flag,ci_lca_g_per_kwh,ci_direct_g_per_kwh,ci_estimated\n"
        "DE-LU,2024-12-11T23:00:00Z,101.5,EUR,,420,380,false\n",
        "utf-8",
    )
    (tmp_path / "case.json").write_text(json.dumps(uftp(8)), "utf-8")
    (tmp_path / "hour.csv").write_text(an_hour_of_regulation(), "utf-8")
    (tmp_path / "market.json").write_text(MARKET, "utf-8")
    (tmp_path / "readings.csv").write_text(a_month_of_hours(date(2024, 5, 14)), "utf-8")
    made = Stage(up, tmp_path)
    yield made
    if not made.ids["request"].startswith("no-"):
        made("gridsignal request cancel REQUEST_ID")


@pytest.mark.parametrize("line", HERE)
def test_it_does_what_it_says(line: str, stage: Stage, request: pytest.FixtureRequest) -> None:
    command = " ".join(words_of(line)[:2])
    steps = next((steps for pattern, steps in NEEDS if re.match(pattern, command)), [])
    if OF_A_RUNNING_ORDER.match(command) and not BREAKS_OFF.search(line):
        stage, steps = request.getfixturevalue("running_order"), []
    for step in steps:
        step(stage)
    line = line.replace("/var/lib/gridsignal", "issued").replace("/etc/gridsignal/", "")
    happened = stage(line)
    assert (happened.code, "Traceback" in happened.err) == (0, False), happened.err


def test_an_audit_does_what_it_says(stage: Stage) -> None:
    """Its lines go on from one another: what one writes the next reads."""
    for step in (Stage.asked_soon, Stage.offered, Stage.cleared):
        step(stage)
    key = stage.done("gridsignal audit key --json").rows()[0]["public_key"]
    with (stage.folder / "sites.toml").open("a", encoding="utf-8") as registry:
        registry.write(f'\n[signers.ours]\npublic_key = "{key}"\n')
    for line in AUDIT:
        line = re.sub("--key [0-9a-f]{64}", f"--key {key}", line)
        stage.done(line.replace(" gridsignal-data", f" {shlex.quote(str(stage.up.directory))}"))
