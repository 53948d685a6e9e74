"""The operators' desks: each request goes to the REST door at its time, as any control room would send it."""

from __future__ import annotations

from datetime import timedelta

import httpx2

from gridsignal_services.clock import Clock
from gridsignal_services.demo.story import Story


async def ask_all(story: Story, operator: str, api_url: str, token: str, seed: int, clock: Clock) -> None:
    """One operator's requests of the day, in order."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=api_url, headers=headers, timeout=30) as http:
        for ask in (ask for ask in story.asks if ask.operator == operator):
            await clock.sleep_until(story.midnight + timedelta(minutes=ask.asked_min))
            key = f"{story.day}-{seed}-{ask.name}"
            answer = await http.post("/v1/requests", json=ask.body(story.midnight), headers={"Idempotency-Key": key})
            if answer.is_error:
                raise RuntimeError(
                    f"expected the request {ask.name} to be taken, got {answer.status_code}: {answer.text}"
                )
