"""An organisation asks no faster than it may, and the others do not notice."""

from __future__ import annotations

import dataclasses
from typing import Any

import httpx2
import pytest

from gridsignal_services.settings import ServerSettings
from tests.integration.dispatch.conftest import Caller


@pytest.fixture
def settings(settings: ServerSettings) -> ServerSettings:
    limits = {"GRIDSIGNAL_DISPATCH_REQUESTS_PER_S": "0.1", "GRIDSIGNAL_DISPATCH_REQUEST_BURST": "3"}
    return dataclasses.replace(settings, limits=limits)


async def test_who_asks_too_fast_is_told_when_to_come_back(
    operator: httpx2.AsyncClient, body: dict[str, Any], caller: Caller
) -> None:
    answers = [await operator.get("/v1/requests") for _ in range(3)]
    answers += [await operator.post("/v1/requests", json=body, headers={"Idempotency-Key": "k"})]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert 0 < int(refused.headers["retry-after"]) <= 10
    assert (refused.json()["type"], refused.json()["retriable"]) == ("urn:gridsignal:problem:rate-limited", True)
    assert (await caller("participant", "acme-ai").get("/v1/requests")).json()["requests"] == []
    assert (await operator.get("/readyz")).status_code == 200
