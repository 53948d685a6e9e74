"""Requests to a cluster that aiokafka's admin client has no call for: rights, and more replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import (
    AlterPartitionReassignmentsRequest,
    CreateAclsRequest_v1,
)
from aiokafka.protocol.api import Request

from gridsignal_services.bus import LogConfigurationError
from gridsignal_services.bus.kafka_rights import OPERATIONS, Right

_TOPIC, _GROUP = 2, 3
_EXACT, _BEGINS = 3, 4
_ALLOW = 3
_TIMEOUT_MS = 10_000


class _CreateAcls(Request[CreateAclsRequest_v1]):
    API_KEY = 30

    def __init__(self, creations: list[tuple[int, str, int, str, str, int, int]]) -> None:
        self._creations = creations

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class(self._creations)


async def give(admin: AIOKafkaAdminClient, rights: Sequence[Right]) -> None:
    """Gives rights; those that are given already stay. Raises LogConfigurationError where a broker gives none."""
    wanted = [
        (kind, name, _BEGINS if right.begins else _EXACT, f"User:{right.user}", "*", OPERATIONS[operation], _ALLOW)
        for right in rights
        for kind, names in ((_TOPIC, right.topics), (_GROUP, right.groups))
        for name in names
        for operation in right.operations
    ]
    response: Any = await admin._send_request(_CreateAcls(wanted))
    for row in response.to_object()["creation_responses"]:
        if row["error_code"]:
            why = row["error_message"] or for_code(row["error_code"]).__name__
            raise LogConfigurationError(f"rights: expected brokers that give them to whom we are here, got: {why}")


async def place(admin: AIOKafkaAdminClient, name: str, replicas: Mapping[int, Sequence[int]]) -> None:
    """Has partitions of a topic copied to these brokers. Raises LogConfigurationError where they refuse."""
    asked: list[Any] = [(name, [(partition, list(brokers), {}) for partition, brokers in sorted(replicas.items())], {})]
    response: Any = await admin._send_request(AlterPartitionReassignmentsRequest(_TIMEOUT_MS, asked, {}))
    answer = response.to_object()
    rows = [answer, *(row for topic in answer["responses"] for row in topic["partitions"])]
    for row in rows:
        if row["error_code"]:
            why = row["error_message"] or for_code(row["error_code"]).__name__
            raise LogConfigurationError(f"topic {name}: expected brokers that take more replicas, got: {why}")
