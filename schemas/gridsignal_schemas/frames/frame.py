"""What every frame is: one JSON object with its type in `t`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gridsignal_schemas.values import Identifier

SUBPROTOCOL_JSON = "gridsignal.v1.json"
SUBPROTOCOL_AVRO = "gridsignal.v1.avro"
ANSWER_HEADER = "Gridsignal-Answer"
"""The gateway's mark on its HTTP answers: without it, something in front of the gateway may have answered."""
MAX_CLIENT_FRAME = 64 * 1024
"""Bytes a client may send in one frame."""

MAX_SIGNATURE = 1024
"""Characters of a signature."""

RequestId = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""Chosen by the client, echoed in the reply; small enough for every JSON reader."""
Cursor = Annotated[str, Field(min_length=1, max_length=1024)]
Signature = Annotated[str, Field(min_length=1, max_length=MAX_SIGNATURE)]
"""A detached JWS over the Avro bytes of the record that a frame means: docs/signatures.md."""
Mode = Literal["every", "latest"]
"""Which signals a subscription gets: each, or of those that wait the newest of each series."""
Recovery = Literal["none", "full", "snapshot"]
"""How a subscription goes on: from now, after its cursor, or with the current state."""


class Frame(BaseModel):
    """A frame: unknown fields are ignored, known ones are exact."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, use_attribute_docstrings=True, serialize_by_alias=True
    )

    t: str

    def encode(self) -> str:
        """The frame as it is sent: null fields left out."""
        return self.model_dump_json(exclude_none=True, by_alias=True)


class Filter(BaseModel):
    """What a subscription wants; an absent field wants everything the principal may see."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    zones: Annotated[list[Identifier], Field(min_length=1, max_length=256)] | None = None
    products: Annotated[list[Identifier], Field(min_length=1, max_length=16)] | None = None
    """SpotPrice.product, on prices."""
    accounting: Annotated[list[Identifier], Field(min_length=1, max_length=16)] | None = None
    """CarbonIntensity.accounting, on carbon."""
    orders: Annotated[list[Identifier], Field(min_length=1, max_length=256)] | None = None
    """RegulationSetpoint.order_id, on regulation."""
