"""What is believed of the coming quarter hours: prices, carbon and temperature, each with the moment it was known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field, model_validator

from gridsignal.agent.site import DEFAULT_TEMPERATURE_C
from gridsignal_schemas.values import Shape, Timestamp

DEFAULT_CARBON_PRICE = 80.0
"""Per tonne of CO2, in the currency of prices."""

SLOT_S = 900
SLOT = timedelta(seconds=SLOT_S)
MAX_SLOTS = 4 * 24 * 8
_Values = Annotated[tuple[float, ...], Field(min_length=1, max_length=MAX_SLOTS, strict=False)]


class Curve(Shape):
    """A value for each quarter hour of a plan."""

    values: _Values
    known_at: Timestamp
    """Its vintage: when the newest of it was published."""
    forecast_from: Annotated[int, Field(ge=0)] = MAX_SLOTS
    """From this quarter hour on the values are a forecast of what isn't published yet."""


class Outlook(Shape):
    """The curves that a plan is made of, all of the same quarter hours."""

    starts_at: Timestamp
    prices: Curve
    """Currency per MWh; may be negative."""
    carbon: Curve
    """g/kWh."""
    temperatures_c: _Values | None = None
    """Outdoors; 20 degrees where nothing is said."""

    @model_validator(mode="after")
    def _holds(self) -> Outlook:
        if self.starts_at.timestamp() % SLOT_S:
            raise ValueError("expected a start on a quarter hour, got one between them")
        for name, length in (("carbon", len(self.carbon.values)), ("temperatures_c", len(self.temperature))):
            if length != self.slots:
                raise ValueError(f"expected {self.slots} values of {name} as of prices, got {length}")
        return self

    @property
    def slots(self) -> int:
        """How many quarter hours."""
        return len(self.prices.values)

    @property
    def temperature(self) -> tuple[float, ...]:
        """Degrees outdoors, of each quarter hour."""
        return self.temperatures_c or (DEFAULT_TEMPERATURE_C,) * self.slots

    def starts(self, slot: int) -> datetime:
        """When a quarter hour begins."""
        return self.starts_at + slot * SLOT

    def slot_of(self, at: datetime) -> float:
        """Quarter hours from the start until then."""
        return (at.astimezone(UTC) - self.starts_at) / SLOT
