"""The limits of a REST door that an installation may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gridsignal_services.cache import Limit
from gridsignal_services.limits import limits_of
from gridsignal_services.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class RestLimits:
    """What one organisation may ask in one role, over all its connections to this process."""

    requests_per_s: float = 100.0
    """Faster: 429 with Retry-After."""
    request_burst: int = 500
    work_ms_per_s: float = 250.0
    """Processor time for its answers; what it overdraws is 429 until it has come back."""
    work_burst_ms: int = 10_000

    @classmethod
    def of(cls, settings: ServerSettings, prefix: str) -> Self:
        """As the server's settings want them, by variables that begin with `prefix`. Raises ConfigError."""
        return cls(**limits_of(cls, prefix, settings.limits))

    @property
    def bucket(self) -> Limit:
        """The token bucket of one organisation."""
        return Limit(self.requests_per_s, self.request_burst)
