"""PROTOCOL.md says what the contract says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gridsignal_schemas.codes import CODES
from gridsignal_schemas.frames import CLIENT_FRAMES, CLOSE_CODES, SERVER_FRAMES, Write
from gridsignal_schemas.messages import RECORDS
from gridsignal_schemas.rules.writes import Speaker, record_of
from gridsignal_services.gateway.settings import GatewaySettings

PAGE = (Path(__file__).parents[3] / "schemas" / "PROTOCOL.md").read_text("utf-8")
WRITTEN = (
    "FlexOffer",
    "OfferWithdrawal",
    "OrderResponse",
    "BaselineDeclaration",
    "MeterReading",
    "SettlementDispute",
    "AlertAck",
)
EXAMPLES: list[dict[str, Any]] = [json.loads(block) for block in re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["t"]))
def test_every_example_is_a_frame_of_the_protocol(example: dict[str, Any]) -> None:
    frame = (CLIENT_FRAMES | SERVER_FRAMES)[example["t"]]
    assert set(example) <= {field.alias or name for name, field in frame.model_fields.items()}
    read = frame.model_validate_json(json.dumps(example))
    assert json.loads(read.encode()).items() >= example.items()
    if example["t"] in ("offer", "withdraw", "respond", "baseline", "reading", "acknowledge"):
        assert isinstance(read, Write)
        record_of(read, Speaker("acme-ai", "fra-1", "DE-LU"))
    if example["t"] == "signal":
        RECORDS[example["type"]].model_validate(example["body"])


def test_every_frame_has_an_example() -> None:
    assert {example["t"] for example in EXAMPLES} == {*CLIENT_FRAMES, *SERVER_FRAMES}


def test_every_refusal_code_is_in_the_table_with_its_meaning() -> None:
    table = PAGE.split("### Refusal codes")[1].split("### Close codes")[0]
    told = dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", table, re.MULTILINE))
    assert told == {code.wire: code.meaning for code in CODES.values() if {"frame", "write"} & set(code.places)}


def test_every_close_code_is_in_the_table() -> None:
    table = PAGE.split("### Close codes")[1].split("## Limits")[0]
    assert {int(code) for code in re.findall(r"^\| (\d{4}) \|", table, re.MULTILINE)} == set(CLOSE_CODES)


def test_the_limits_told_are_the_limits_that_hold() -> None:
    limits = GatewaySettings(data_directory=Path())
    assert f"| {limits.frame_bytes // 1024} KiB | close 1009 |" in PAGE
    assert f"| {limits.max_subscriptions} (`max_subscriptions`)" in PAGE
    assert f"| {limits.offer_window} (`offer_window`)" in PAGE
    assert f"| {limits.frames_per_s:.0f} a second, {limits.frame_burst} at once |" in PAGE
    assert f"| {limits.organisation_connections} | close 4029 |" in PAGE
    assert f"| {limits.organisation_writes_per_s:.0f} a second, {limits.organisation_write_burst} at once |" in PAGE
    assert f"| {limits.strikes} within {limits.strike_window_s:.0f} s | close 4500 |" in PAGE
    assert f"| {limits.hello_timeout_s:.0f} s | close 4008 |" in PAGE
    assert f"| {limits.live_states}, {limits.live_bytes // 1024**2} MiB | the oldest, and `more` |" in PAGE
    assert f"| parts of a message | {limits.frame_fragments} | close 1009 |" in PAGE
    assert f"| {limits.early_frames}, of {limits.hello_bytes // 1024} KiB together | close 4029" in PAGE
    assert f"({limits.strangers_of_a_network} of an IPv4 address" in PAGE


def test_every_field_of_every_body_is_named() -> None:
    bodies = PAGE.split("## Bodies")[1].split("## Avro")[0]
    told = re.findall(r"^\*\*(\w+)\*\*(.*?)(?=^\*\*|\Z)", bodies, re.MULTILINE | re.DOTALL)
    assert len(told) == 17
    for name, text in told:
        fields = set(RECORDS[name].model_fields)
        if name in WRITTEN:
            fields -= {"zone", "participant", "site", "offer_id", "response_id"}
        assert fields <= set(re.findall(r"`(\w+)`", text)), name
