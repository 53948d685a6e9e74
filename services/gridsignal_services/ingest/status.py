"""The ingest door's own pages: health, metrics, and each feed's freshness."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import FastAPI

from gridsignal_services.asgi import add_pages
from gridsignal_services.ingest.service import Ingest


def app(ingest: Ingest) -> FastAPI:
    """/healthz, /readyz, /metrics, and /v1/feeds."""
    made = FastAPI(title="gridsignal ingest", version="1", docs_url=None, redoc_url=None)
    add_pages(made, ingest.health, ingest.metrics.registry)

    @made.get("/v1/feeds")
    async def feeds() -> list[dict[str, Any]]:
        """Every feed: its last success, the end of its newest figure, when it is due, what was set aside."""
        return [asdict(status) for status in ingest.statuses()]

    return made
