"""topics.toml: every record has one topic, every topic says what it keeps, and keys find Kafka's own partitions."""

from __future__ import annotations

import pytest

from gridsignal_schemas.catalog import SUBJECTS, TOPIC_OF_RECORD, TOPICS, partition_of, subject
from gridsignal_schemas.messages import RECORDS


def test_every_record_travels_on_exactly_one_topic() -> None:
    carried = [record for topic in TOPICS.values() for record in topic.records]
    assert sorted(carried) == sorted(RECORDS)
    assert set(TOPIC_OF_RECORD) == set(RECORDS)


def test_topics_and_subjects_have_names_of_their_own() -> None:
    assert len({topic.name for topic in TOPICS.values()}) == len(TOPICS)
    assert len(set(SUBJECTS)) == len(SUBJECTS) == len(RECORDS)
    for stream, topic in TOPICS.items():
        assert topic.stream == stream
        assert topic.name == f"gridsignal.{stream}"


def test_a_subject_is_the_topic_and_the_records_full_name() -> None:
    assert subject(TOPICS["prices"], "SpotPrice") == "gridsignal.prices-gridsignal.SpotPrice"


def test_every_record_has_a_zone_to_be_its_key_but_what_is_of_a_partition() -> None:
    without = {name for name, record in RECORDS.items() if "zone" not in record.model_fields}
    assert without == {"GridClock", "TreeHead"}
    for name in RECORDS.keys() - without - {"GridAlert"}:
        assert next(iter(RECORDS[name].model_fields)) == "zone"


def test_all_that_the_ledger_reduces_has_one_order_and_is_kept_for_ever() -> None:
    dispatch = TOPICS["dispatch"]
    assert dispatch.retention_days == 0
    assert dispatch.flush_every_message
    assert set(dispatch.records) == RECORDS.keys() - {
        "SpotPrice", "CarbonIntensity", "GridAlert", "AlertAck", "RegulationSetpoint", "MeterReading"
    }  # fmt: skip


def test_only_series_and_setpoints_conflate() -> None:
    assert {topic.stream for topic in TOPICS.values() if topic.conflates} == {"prices", "carbon", "regulation"}


def test_readings_and_acknowledgements_are_nobodys_streams() -> None:
    assert {topic.stream for topic in TOPICS.values() if not topic.subscribable} == {"readings", "acknowledgements"}


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_a_key_finds_the_partition_that_kafkas_own_producer_gives_it(key: str, hashed: int) -> None:
    for partitions in (1, 6, 50):
        assert partition_of(key, partitions) == (hashed & 0x7FFFFFFF) % partitions
