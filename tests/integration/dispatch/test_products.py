"""Products at the doors: listed to everybody with a token, named in a request, inherited and held to."""

from __future__ import annotations

import asyncio
from typing import Any

import gridsignal
from gridsignal import MW, DispatchRequest
from gridsignal_schemas.rules.products import terms_of
from gridsignal_services.embedded import Stack
from gridsignal_services.registry import Registry, example_registry_text
from tests.integration.cli.conftest import ran
from tests.integration.dispatch.conftest import Caller
from tests.patience import SOON_S

PEAK = '\n[products.peak]\ntext = "the peak"\nversion = 4\nterms = { full_activation_s = 60, rest_s = 600 }\n'


async def test_a_request_of_a_product_is_asked_typed_and_seen_with_its_terms(
    stack: Stack, caller: Caller, body: dict[str, Any]
) -> None:
    operator, site = caller("operator", "tso-north"), caller("participant", "acme-ai")
    stack.dispatch.entitle(Registry.parse(example_registry_text() + PEAK))
    listed = (await operator.get("/v1/products")).json()["products"]
    assert [each["name"] for each in listed if each["name"] in ("MFRR_EU", "peak")] == ["MFRR_EU", "peak"]
    assert listed == (await site.get("/v1/products")).json()["products"]
    assert (await operator.get("/v1/products?zone=DE-LU")).status_code == 422

    outside = body | {"product": "peak", "full_activation_s": 900}
    refused = await operator.post("/v1/requests", json=outside, headers={"Idempotency-Key": "k1"})
    assert refused.status_code == 422
    assert [(each["code"], each["pointer"], each["message"]) for each in refused.json()["errors"]] == [
        ("OUTSIDE_PRODUCT", "/full_activation_s", "expected 60 by peak 4, got 900")
    ]

    token = stack.token("operator", "tso-north")
    where = {"GRIDSIGNAL_API": stack.api_url, "GRIDSIGNAL_TOKEN": token}
    words = "request create --zone DE-LU --product MFRR_EU --down 12MW --start +1h --for 15m"
    for line in (words, "request products", "request products --json"):
        shown = await asyncio.to_thread(ran, line.split(), **where)
        assert (shown.code, shown.err) == (0, "")
    assert "MFRR_EU" in shown.out

    told = {"token": stack.token("participant", "acme-ai"), "site": "fra-1"}
    async with gridsignal.connect(stack.gateway_url, **told, api=stack.api_url) as grid, asyncio.timeout(SOON_S):
        async for request in grid.subscribe("dispatch"):
            if isinstance(request, DispatchRequest):
                break
        known = {product.name: product for product in await grid.products()}
    assert (request.full_activation_s, request.respond_within_s, request.min_quantity_w) == (750, 60, MW)
    assert request.product_terms is not None
    assert request.product_terms.sha256 == known["MFRR_EU"].sha256
    assert terms_of(request.product_terms.parameters) == known["MFRR_EU"].terms
