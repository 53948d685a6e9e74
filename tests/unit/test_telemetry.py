from __future__ import annotations

import io
import json
import logging

from prometheus_client import CollectorRegistry, Counter

from gridsignal_services.telemetry import Health, Outage, configure_logging, logger, metrics

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
    assert (health.ready, health.reason) == (False, "starting")

    health.set_ready(True)
    assert (health.ready, health.reason) == (True, "")

    health.set_ready(False, "draining")
    assert (health.ready, health.reason) == (False, "draining")


def test_metrics_of_one_service_are_its_own() -> None:
    one, other = CollectorRegistry(), CollectorRegistry()
    Counter("offers", "Offers received.", registry=one).inc()

    assert b"offers_total 1.0" in metrics(one)
    assert b"offers" not in metrics(other)


def test_an_outage_is_told_at_once_then_once_in_a_while_and_when_it_is_over() -> None:
    told, now_s = io.StringIO(), [0.0]
    configure_logging(json=True, level="INFO", stream=told)
    outage = Outage(logger("replica"), "log", every_s=30.0, now_s=lambda: now_s[0], stream="dispatch")
    outage.over()  # it never was away: nothing to tell
    for now_s[0] in (0.0, 1.0, 29.0, 30.0, 31.0):
        outage.say("kafka can't be read now")
    now_s[0] = 42.0
    outage.over()
    outage.over()
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    assert [(line["event"], line.get("for_s"), line.get("after_s")) for line in lines] == [
        ("away, trying again", 0.0, None),
        ("away, trying again", 30.0, None),
        ("back", None, 42.0),
    ]
    assert {(line["what"], line["stream"], line["service"]) for line in lines} == {("log", "dispatch", "replica")}


def test_a_library_that_repeats_itself_is_heard_once() -> None:
    told = io.StringIO()
    configure_logging(json=True, level="INFO", stream=told)
    for attempt in range(100):
        logging.getLogger("aiokafka").error("Unable connect to node with id 1: attempt %d", attempt)
    logging.getLogger("aiokafka").warning("another thing")
    said = [json.loads(line) for line in told.getvalue().splitlines()]
    assert [(line["event"], line["level"], line["library"]) for line in said] == [
        ("Unable connect to node with id 1: attempt 0", "error", "aiokafka"),
        ("another thing", "warning", "aiokafka"),
    ]
