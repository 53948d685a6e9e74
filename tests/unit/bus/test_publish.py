"""What travels beside a record."""

from __future__ import annotations

from datetime import datetime

from gridsignal_services.bus import LogRecord
from gridsignal_services.bus.publish import headers_of, principal_of
from tests.builders import a_spot_price


def test_a_record_travels_as_a_cloud_event() -> None:
    headers = headers_of(a_spot_price(), principal="service:ingest", source="/ingest/replay")
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_type"] == "gridsignal.SpotPrice"
    assert headers["ce_source"] == "/ingest/replay"
    assert headers["content-type"] == "application/avro"
    assert headers["ce_time"].endswith("Z")
    assert datetime.fromisoformat(headers["ce_time"]).utcoffset() is not None
    assert "traceparent" not in headers


def test_every_event_has_an_id_of_its_own() -> None:
    ids = {headers_of(a_spot_price(), principal="p", source="s")["ce_id"] for _ in range(100)}
    assert len(ids) == 100


def test_who_caused_a_record_is_read_from_its_headers() -> None:
    headers = headers_of(a_spot_price(), principal="participant:acme-ai", source="/gateway", traceparent="00-ab-cd-01")
    assert principal_of(LogRecord("prices", 0, 0, "FR", b"", 0, headers)) == "participant:acme-ai"
    assert headers["traceparent"] == "00-ab-cd-01"
    assert principal_of(LogRecord("prices", 0, 0, "FR", b"", 0)) == ""
