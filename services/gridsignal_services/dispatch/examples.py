"""What the OpenAPI document shows beside each operation that takes a body."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

REQUEST = {
    "zone": "DE-LU",
    "direction": "LOAD_DECREASE",
    "power_w": 12_000_000,
    "starts_at": "2030-05-12T18:00:00Z",
    "ends_at": "2030-05-12T18:45:00Z",
    "gate_closure_at": "2030-05-12T17:00:00Z",
    "decision_deadline": "2030-05-12T17:10:00Z",
    "purpose": "CONGESTION",
    "text": "Relief for the evening peak.",
    "price_cap_per_mwh": "120",
}
CANCEL = {"reason_code": "NOT_NEEDED", "reason": "the line is back"}
AWARD = {
    "picks": [{"participant": "acme-ai", "offer_id": "offer-1", "option": "o1", "power_w": 12_000_000}],
    "reason": "only this site is behind the overloaded transformer",
}
EXTEND = {"ends_at": "2030-05-12T19:00:00Z", "reason": "the peak lasts longer"}
REJECT = {"reason_code": "readings", "reason": "the exchange is in the readings already"}
RELEASE = {"reason": "the peak is over"}
SETPOINTS = {
    "cycle_s": 2,
    "setpoints": [
        {"cycle_no": 450, "level_ppm": 250_000, "base_w": 40_000_000, "target_at": "2030-05-12T18:15:00Z"},
    ],
}
CYCLE = {
    "cycle_s": 2,
    "cycle_no": 450,
    "target_at": "2030-05-12T18:15:00Z",
    "setpoints": [{"order_id": "order-1", "level_ppm": 250_000, "base_w": 40_000_000}],
}


def takes(shape: type[BaseModel], example: dict[str, Any], *, idempotent: bool = False) -> dict[str, Any]:
    """The request body of an operation that reads its body itself, for the OpenAPI document."""
    schema = shape.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    extra: dict[str, Any] = {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _inlined(schema, definitions), "example": example}},
        }
    }
    if idempotent:
        key = {"type": "string", "minLength": 1, "maxLength": 128}
        extra["parameters"] = [{"name": "Idempotency-Key", "in": "header", "required": True, "schema": key}]
    return extra


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
        return {key: _inlined(value, definitions) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    return schema
