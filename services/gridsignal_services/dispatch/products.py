"""The operation on products: what can be asked for by name, and what each lays down."""

from __future__ import annotations

from fastapi import APIRouter, Request

from gridsignal_schemas.rules.products import Products
from gridsignal_services.dispatch.door import Door
from gridsignal_services.products import products_of


def routes(door: Door) -> APIRouter:
    """The router of /v1/products."""
    router = APIRouter(prefix="/v1", tags=["products"])

    @router.get("/products", summary="List products")
    async def products(request: Request) -> Products:
        """What operators ask for by name: within which bounds, settled by which rule, against which baseline.

        Those that ship come first, then the registry's own; a request may also name another, which lays down nothing.
        """
        door.principal(request)
        door.only(request)
        await door.catch_up(request)
        return Products(products=products_of(door.registry.products))

    return router
