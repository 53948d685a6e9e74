"""What makes an offer a standing one: it answers any request of a product while it stands."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from gridsignal_schemas.values import Currency, Name, Shape

DAY_S = 86_400
SecondOfDay = Annotated[int, Field(ge=0, le=DAY_S)]


class DailyHours(Shape):
    """Hours of every day, in seconds from midnight UTC: a log knows no zone's calendar."""

    from_s: SecondOfDay
    """From here."""
    to_s: SecondOfDay
    """To here; before from_s where they go over midnight."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.from_s == self.to_s:
            raise ValueError(f"expected hours that last, got {self.from_s} to {self.to_s}")
        return self


class StandingTerms(Shape):
    """When and for what a standing offer may be called."""

    product: Name
    """Any request of it in the site's zone is answered."""
    currency: Currency
    """Of its prices: a request in another passes it over."""
    hours: Annotated[list[DailyHours], Field(max_length=8)] = Field(default_factory=list)
    """In one of them a call has to lie whole; empty: at any hour."""
