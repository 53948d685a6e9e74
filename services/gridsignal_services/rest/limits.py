"""The limits of a REST door that an installation may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gridsignal_services.arrivals import ArrivalLimits
from gridsignal_services.cache import Limit
from gridsignal_services.limits import limits_of
from gridsignal_services.settings import ServerSettings

_BEHIND_A_PROXY = 100
"""So many organisations' paces together, for what carries no token and comes from everybody at one address."""


@dataclass(frozen=True, slots=True)
class RestLimits:
    """What one organisation may ask in one role, over all its connections to this process; and what the port bears."""

    requests_per_s: float = 100.0
    """Faster: 429 with Retry-After."""
    request_burst: int = 500
    """So many at once."""
    work_ms_per_s: float = 250.0
    """Processor time for its answers, one long answer at a time; more: 429 with Retry-After until it has come back."""
    work_burst_ms: int = 2000
    """So much at once: ten months of five-minute prices."""

    # --- connections, of everybody
    max_connections: int = 1000
    """Connections that have shown a good token. One more counts as a stranger."""
    strangers: int = 512
    """Connections that have said nothing yet, and again as many that have not shown a good token, TLS handshakes
    included: one more drops the oldest of the network with the most. A network is an IPv4 address or the /64 of an IPv6
    address."""
    strangers_of_a_network: int = 128
    """One more drops the oldest of this network. Behind a proxy (GRIDSIGNAL_TLS=proxy) as many as `strangers`."""
    network_requests_per_s: float = 100.0
    """Requests without a good token of one network; faster: 429 for what carries no token. Behind a proxy a hundred
    times `requests_per_s`."""
    network_request_burst: int = 500
    """So many at once; behind a proxy a hundred times `request_burst`."""
    tls_timeout_s: float = 5.0
    """A TLS handshake that takes longer: the connection is dropped."""
    header_timeout_s: float = 10.0
    """A request's header that takes longer, or a body that takes twice as long: the connection is dropped."""
    idle_timeout_s: int = 5
    """No further request for so long: the connection is closed."""
    send_timeout_s: float = 10.0
    """An answer that is not read for so long: the connection is dropped."""
    files_at_once: int = 16
    """Scripts and styles of /docs and the console under way; more: 503."""

    @classmethod
    def of(cls, settings: ServerSettings, prefix: str) -> Self:
        """As the server's settings want them, by variables that begin with `prefix`. Raises ConfigError."""
        return cls(**limits_of(cls, prefix, settings.limits))

    @property
    def bucket(self) -> Limit:
        """The token bucket of one organisation."""
        return Limit(self.requests_per_s, self.request_burst)

    def arrivals(self, settings: ServerSettings) -> ArrivalLimits:
        """What the port bears."""
        behind_proxy = settings.tls == "proxy"  # then everybody comes from its address
        return ArrivalLimits(
            self.strangers,
            self.strangers if behind_proxy else self.strangers_of_a_network,
            self.max_connections,
            _BEHIND_A_PROXY * self.requests_per_s if behind_proxy else self.network_requests_per_s,
            _BEHIND_A_PROXY * self.request_burst if behind_proxy else self.network_request_burst,
        )
