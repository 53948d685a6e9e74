"""A trace that an operator's request carries goes on with the record that it becomes, and with no other."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from gridsignal_services.embedded import Stack

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def traces(stack: Stack) -> list[tuple[str, str | None]]:
    """By record, whatever is logged from now on."""
    found: list[tuple[str, str | None]] = []
    stack.replica.listen(
        lambda logged, record, _: found.append((record.record_name, logged.headers.get("traceparent")))
    )
    return found


async def test_a_request_s_trace_goes_on_with_its_record_and_no_other(
    operator: httpx2.AsyncClient, body: dict[str, Any], traces: list[tuple[str, str | None]]
) -> None:
    headers = {"Idempotency-Key": "traced", "traceparent": TRACE}
    asked = await operator.post("/v1/requests", json=body, headers=headers)
    assert asked.status_code == 201
    untraced = await operator.post("/v1/requests", json=body, headers={"Idempotency-Key": "untraced"})
    assert untraced.status_code == 201
    of_requests = [trace for record, trace in traces if record == "DispatchRequest"]
    assert of_requests == [TRACE, None]
    assert {trace for record, trace in traces if record != "DispatchRequest"} <= {None}


@pytest.mark.parametrize(
    "said",
    [
        TRACE.upper(),
        TRACE + "-more",
        TRACE.replace("00-4", "ff-4"),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        "x" * 5000,
    ],
)
async def test_what_is_no_trace_is_left_out(
    operator: httpx2.AsyncClient, body: dict[str, Any], traces: list[tuple[str, str | None]], said: str
) -> None:
    headers = {"Idempotency-Key": "k", "traceparent": said}
    assert (await operator.post("/v1/requests", json=body, headers=headers)).status_code == 201
    assert [trace for record, trace in traces if record == "DispatchRequest"] == [None]
