"""How the doors do is shown to whoever runs them, and to nobody else; nothing of it names anybody."""

from __future__ import annotations

import httpx2

from gridsignal_services.access import OPERATIONS_READ, Role
from gridsignal_services.embedded import Stack
from tests.patience import SOON_S


async def operations(stack: Stack, role: Role, organisation: str, *scopes: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {stack.token(role, organisation, *scopes)}"}
    async with httpx2.AsyncClient(base_url=stack.api_url, headers=headers, timeout=SOON_S) as http:
        return await http.get("/v1/operations")


async def test_who_runs_the_doors_sees_them_the_log_who_is_behind_and_how_connections_fare(stack: Stack) -> None:
    answer = await operations(stack, "operator", "tso-north", OPERATIONS_READ)
    shown = answer.json()
    assert answer.status_code == 200
    assert [(each["name"], each["ready"], each["reason"]) for each in shown["doors"]] == [
        (name, True, "") for name in ("gateway", "dispatch", "ingest", "log")
    ]
    ledger = next(each for each in shown["followed"] if each["by"] == "ledger")
    assert (ledger["stream"], ledger["state"], ledger["unreadable"]) == ("dispatch", "live", 0)
    names = {(each["door"], each["name"]) for each in shown["counted"]}
    assert ("gateway", "connections") in names
    known = {organisation for _, organisation in stack.registry.organisations()}
    assert not any(organisation in answer.text for organisation in known), "it names nobody"


async def test_nobody_else_is_shown_how_the_doors_do(stack: Stack) -> None:
    refused = [
        await operations(stack, "operator", "tso-north"),
        await operations(stack, "participant", "acme-ai"),
        await operations(stack, "participant", "acme-ai", OPERATIONS_READ),
    ]
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert "operations:read" in refused[0].json()["detail"]
