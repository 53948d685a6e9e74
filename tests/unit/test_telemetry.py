from __future__ import annotations

import io
import json

from prometheus_client import CollectorRegistry, Counter

from gridsignal_services.telemetry import Health, configure_logging, logger, metrics

TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


def test_a_log_line_is_one_json_object_that_hides_secrets() -> None:
    lines = io.StringIO()
    configure_logging(json=True, level="INFO", stream=lines)

    logger("dispatch").info("asked", authorization=f"Bearer {TOKEN}", note=f"got {TOKEN}!", zone="DE-LU")
    logger("dispatch").debug("not at this level")

    (line,) = lines.getvalue().splitlines()
    said = json.loads(line)
    assert (said["event"], said["service"], said["zone"], said["note"]) == (
        "asked",
        "dispatch",
        "DE-LU",
        "got (hidden)!",
    )
    assert TOKEN not in line


def test_a_service_is_ready_when_it_says_so_and_tells_why_not() -> None:
    health = Health()
    assert (health.live, health.ready, health.reason) == (True, False, "starting")

    health.set_ready(True)
    assert (health.ready, health.reason) == (True, "")

    health.set_ready(False, "draining")
    assert (health.live, health.ready, health.reason) == (True, False, "draining")

    health.set_dead("the log's epoch changed")
    assert (health.live, health.ready) == (False, False)


def test_metrics_of_one_service_are_its_own() -> None:
    one, other = CollectorRegistry(), CollectorRegistry()
    Counter("offers", "Offers received.", registry=one).inc()

    assert b"offers_total 1.0" in metrics(one)
    assert b"offers" not in metrics(other)
