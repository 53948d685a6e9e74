"""What holds of DSX Flex beyond the contract: nobody is believed who does not sign, and nothing ever says 0."""

from __future__ import annotations

from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from gridsignal.agent.actuators import ActuatorFailed
from gridsignal.agent.actuators.dsx_flex import Bus, DsxFlexActuator, Keys
from gridsignal.agent.schedule import Schedule
from gridsignal_schemas.values import MW
from tests.contract.agent import factory
from tests.contract.agent.stands import BASELINE_W, START, scheduled
from tests.patience import SOON_S

pytestmark = pytest.mark.skipif(factory.MOSQUITTO is None, reason="needs mosquitto: apt-get install mosquitto")


def a_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid})


def an_actuator(port: int, keys: Keys | None, timeout_s: float, program: str = "run") -> DsxFlexActuator:
    bus = Bus("127.0.0.1", port, factory.ISV, factory.AGENT, factory.ISV, factory.ISV, tls=False, program=program)
    return DsxFlexActuator(bus, factory.FEEDS, lambda _: BASELINE_W, keys, timeout_s=timeout_s)


@pytest.mark.parametrize("believed", ["another key", "plain"])
async def test_a_power_state_that_is_not_signed_as_agreed_is_not_believed(tmp_path: Path, believed: str) -> None:
    ours, theirs = a_key("isv"), a_key("site1")
    keys = Keys(ours, a_key("site1")) if believed == "another key" else None
    with factory.broker(tmp_path) as port:
        async with factory.Factory(port, theirs, ours, START).running():
            actuator = an_actuator(port, keys, 1.0)
            with pytest.raises(ActuatorFailed, match="no power state from site1"):
                await actuator.observe(START)
            assert actuator.dropped
            await actuator.aclose()


async def test_a_load_target_that_the_factory_does_not_believe_is_told_as_a_failure(tmp_path: Path) -> None:
    ours, theirs = a_key("isv"), a_key("site1")
    with factory.broker(tmp_path) as port:
        behind = factory.Factory(port, theirs, a_key("isv"), START)
        async with behind.running():
            actuator = an_actuator(port, Keys(ours, theirs), 1.0)
            with pytest.raises(ActuatorFailed, match="no status that shows the load targets"):
                await actuator.apply(scheduled(4 * MW), START)
            assert behind.dropped == 2, "it was told twice"
            await actuator.aclose()


async def test_a_check_beside_an_agent_that_runs_leaves_it_its_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = a_key("isv"), a_key("site1")
    caplog.set_level("INFO", "gridsignal.agent.dsx")
    with factory.broker(tmp_path) as port:
        async with factory.Factory(port, theirs, ours, START).running():
            runs = an_actuator(port, Keys(ours, theirs), SOON_S)
            checks = an_actuator(port, Keys(ours, theirs), SOON_S, "check")
            await runs.observe(START)
            await checks.check(START)
            await runs.apply(scheduled(4 * MW), START)
            await checks.aclose()
            await runs.aclose()
    assert "no connection" not in caplog.text


async def test_the_feeds_caps_are_the_baseline_less_the_orders_and_null_gives_all_back(tmp_path: Path) -> None:
    ours, theirs = a_key("isv"), a_key("site1")
    with factory.broker(tmp_path) as port:
        behind = factory.Factory(port, theirs, ours, START)
        async with behind.running():
            actuator = an_actuator(port, Keys(ours, theirs), SOON_S)
            await actuator.apply(scheduled(4 * MW, 1 * MW), START)
            await actuator.apply(Schedule(), START)
            await actuator.aclose()
    caps, nulls = ([target["load_constraint"] for target in each["targets"]] for each in behind.sets)
    at_start = [target for target in behind.sets[0]["targets"] if target["interval"]["start_time"][11:16] == "18:00"]
    assert sum(target["load_constraint"]["value"] for target in at_start) == BASELINE_W - 5 * MW
    assert all(cap["value"] > 0 for cap in caps)
    assert nulls == [None, None]
