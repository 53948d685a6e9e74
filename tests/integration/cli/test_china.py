"""docs/china.md as a reader follows it: its registry, a day of 96 points stamped by their ends, and who sees it."""

from __future__ import annotations

import re
import shlex
from datetime import datetime, time, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from gridsignal_services.ingest.markets import market_of
from gridsignal_services.registry import Registry
from tests.integration.cli.conftest import Up, ran, running
from tests.integration.cli.test_ingest_commands import ingest_address
from tests.patience import SOON_S

SHANGHAI = ZoneInfo("Asia/Shanghai")
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "china.md").read_text("utf-8")
CHECK, _, MINT, PUSH = (
    shlex.split(line)[1:] for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
)


def test_the_zones_are_those_of_the_page_and_their_markets_known() -> None:
    registry = Registry.load(ROOT / "deploy" / "registries" / "china.toml")
    hubs = set(re.findall(r"`(CN-[A-Z-]+)`", PAGE.partition("| hub |")[2].partition("\n\n")[0]))
    assert len(hubs) == 12
    assert hubs < registry.zones.keys()
    assert not registry.warnings()
    for name, zone in registry.zones.items():
        market = market_of(name)
        assert (market.timezone, market.currency) == (zone.tz, zone.currency)


def shown(up: Up) -> list[dict[str, Any]]:
    """The prices that a participant of the zone sees, once there are any."""
    last, watch = monotonic() + SOON_S, ["watch", "prices", "--zone", "CN-GS", "--once", "--json"]
    while not (rows := (seen := ran(watch, **up.towards("participant-east-west-ai"))).rows()):
        assert monotonic() < last, seen.err
    return rows


def test_a_day_of_a_portal_is_one_market_day_for_who_may_see_it(tmp_path: Path) -> None:
    head, *_ = re.findall(r"```csv\n(\S+)", PAGE)
    tomorrow = datetime.now(SHANGHAI).date() + timedelta(days=1)  # it is shown whatever midnight passes meanwhile
    ends = [f"{tomorrow} {n // 4:02}:{n % 4 * 15:02}" for n in range(1, 97)]
    day = "\n".join([head, *(f"{end},{n}.25" for n, end in enumerate(ends))])
    (tmp_path / "prices.csv").write_text(day + "\n")
    assert ran(CHECK, cwd=ROOT).code == 0
    with running(tmp_path / "stack", "--registry", str(ROOT / "deploy" / "registries" / "china.toml")) as up:
        minted = ran([*MINT[: MINT.index(">")], "--directory", str(up.directory)], cwd=ROOT)
        assert minted.code == 0, minted.err
        (tmp_path / "push.token").write_text(minted.out)
        pushed = ran([*PUSH, "--json"], cwd=tmp_path, GRIDSIGNAL_INGEST=ingest_address(up))
        assert [row["news"] for row in pushed.rows()] == ["new"], pushed.err
        (curve,) = shown(up)
    midnight = datetime.combine(tomorrow, time(), SHANGHAI)
    assert (datetime.fromisoformat(curve["starts_at"]), curve["currency"]) == (midnight, "CNY")
    assert curve["prices_per_mwh"] == [f"{n}.25" for n in range(96)]
