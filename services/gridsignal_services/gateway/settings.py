"""Every limit of the gateway, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Self

from gridsignal_protocol.server.limits import Limits
from gridsignal_services.arrivals import ArrivalLimits
from gridsignal_services.limits import limits_of
from gridsignal_services.settings import ServerSettings

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What bounds the gateway; each bound's field says what happens at the bound."""

    data_directory: Path
    """Holds the keys of the cursors, which must survive a restart."""

    # --- listening ---
    host: str = "127.0.0.1"
    port: int = 8081
    """0 takes a free one."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    reuse_port: bool = False
    """Several processes on one port share its connections."""
    listen_backlog: int = 4096
    """Connections that the kernel keeps until they are accepted; more, and it answers nobody new."""
    origins: tuple[str, ...] = ()
    """Browsers' origins that may connect, with commas between; programs send none and always may. Others: 403."""

    consoles: list[str] = field(default_factory=list)
    """Origins of the consoles that this process serves itself, known once their door listens; they may connect, too."""

    # --- admission ---
    max_connections: int = 20_000
    """More with a good token: 503 with Retry-After. Sockets without one take none of these places."""
    strangers: int = 8192
    """Sockets that have not shown a good token, TLS handshakes included: one more drops the oldest of the network with
    the most. A network is an IPv4 address or the /64 of an IPv6 address."""
    strangers_of_a_network: int = 4096
    """As many as come back at once from behind one address, before the first has sent its token; one more drops the
    oldest of this network. Behind a proxy (GRIDSIGNAL_TLS=proxy) as many as `strangers`."""
    handshakes_per_s: float = 1000.0
    """Faster with good tokens: 503 with Retry-After, so that fan-out keeps its share of the loop."""
    handshake_burst: int = 4000
    """So many at once."""
    network_handshakes_per_s: float = 200.0
    """Faster from one network without a good token: 503 with Retry-After. Behind a proxy as `handshakes_per_s`."""
    network_handshake_burst: int = 1000
    """So many at once."""
    tls_timeout_s: float = 5.0
    """A TLS handshake that takes longer: the connection is dropped."""
    header_timeout_s: float = 5.0
    """A request's header that takes longer: 408, or the connection is dropped where nothing of it has come."""
    header_bytes: int = 32 * KIB
    """A longer header: 431, as is a line of it of more than 8 KiB."""
    hello_timeout_s: float = 5.0
    """No hello by then: close 4008."""
    hello_bytes: int = 20 * KIB
    """More before the hello was answered: the connection is dropped. A hello may carry a token of 8 KiB."""
    early_frames: int = 8
    """More frames before the hello was answered, of whatever kind: close 4029."""
    early_reads: int = 256
    """More reads of the socket before the hello was answered: the connection is dropped."""

    # --- what one connection may do ---
    frame_bytes: int = 64 * KIB
    """A longer message: close 1009."""
    frame_fragments: int = 64
    """A message in more parts: close 1009."""
    frames_per_s: float = 500.0
    """Faster: refused with `rate`. Pings, pongs and fragments count like other frames."""
    frame_burst: int = 2000
    """A client that overdraws by another full burst is disconnected (4029)."""
    strikes: int = 3
    """Malformed frames within the window below: close 4500."""
    strike_window_s: float = 60.0
    """Older ones are forgotten."""
    max_subscriptions: int = 256
    """More: error `too_many_subscriptions`."""
    offer_window: int = 64
    """More unanswered writes and queries: refused with `rate`."""

    # --- what one organisation may do, over all its connections ---
    organisation_connections: int = 1000
    """More at this gateway: close 4029."""
    organisation_handshakes_per_s: float = 500.0
    """Faster: 503 with Retry-After, for this organisation alone. Each poll is a handshake."""
    organisation_handshake_burst: int = 2000
    """So many at once."""
    organisation_polls: int = 64
    """More `/v1/poll` at once at this gateway: 429. What each collects, up to 1 MiB, waits here until it is read."""
    organisation_unsent_bytes: int = 64 * MIB
    """More unsent to its connections that do not read: those with the most are closed with 4002."""
    organisation_share: float = 0.25
    """Of the event loop's time, for what it sends, what that causes and what it asks to be replayed; more: it is served
    after all others, who then wait for a slice of a millisecond or two. Of one organisation, connections that had
    nothing to do are served before those that never stop. Everybody without a token has one such share together."""
    organisation_unanswered: int = 2000
    """More writes and questions unanswered: each of its connections is read on when all of its own are answered."""
    organisation_subscriptions: int = 20_000
    """More, over all its connections to this gateway: error `too_many_subscriptions`."""
    organisation_filters: int = 1000
    """More different filters among its subscriptions at this gateway: error `too_many_subscriptions`. On dispatch a
    connection for one site has a filter of its own."""
    organisation_writes_per_s: float = 1000.0
    """Faster: refused with `rate`. Counted over all gateways that share a cache."""
    organisation_write_burst: int = 5000
    """So many at once."""

    # --- life and tokens ---
    ping_s: int = 8
    """How often the gateway asks for a sign of life, and gives one to each subscription."""
    dead_after_s: int = 16
    """Silence for longer than this: close 4003."""
    token_notice_s: float = 60.0
    """`token_expiring` is sent so long before."""
    close_timeout_s: float = 5.0
    """A peer that does not finish the close in time: the connection is dropped."""

    # --- sending ---
    tick_s: float = 0.005
    """Where many are written to, frames are joined for so long and written at once; when idle they leave at once."""
    longest_tick_s: float = 0.02
    """Where the event loop has much to do, frames are joined for longer, up to so long."""
    kernel_bytes: int = 128 * KIB
    """Given to the kernel and not yet on the wire (Linux): more waits here, where it is counted."""
    conflate_bytes: int = 64 * KIB
    """Unsent: `latest` subscriptions conflate, catch-up waits."""
    lag_bytes: int = 256 * KIB
    """Unsent: the client is told with `lag`."""
    close_bytes: int = 1 * MIB
    """Unsent: close 4002."""
    stall_s: float = 10.0
    """Nothing taken for so long: close 4002; of an answer to a poll: the connection is dropped."""

    # --- history ---
    ring_records: int = 20_000
    """Records of one stream kept in memory; older ones are read from the log."""
    ring_bytes: int = 32 * MIB
    """Their estimated size in memory."""
    catch_up_readers: int = 8
    """Readers of the log at once; further subscriptions wait for one."""
    catch_up_records: int = 200_000
    """Further behind than this: recovery by snapshot, reason `too_far`."""
    catch_up_batch: int = 500
    """Records read at once; the next batch is read when these are sent."""
    snapshot_days: int = 3
    """How much of prices and carbon is read before the gateway is ready."""
    snapshot_shared_s: float = 1.0
    """A state is taken once for all subscriptions of an organisation that begin within so long; what came after it
    follows at once."""
    position_every: int = 1000
    """Records that passed a subscription unseen: its position is sent before the heartbeat is due. Not on dispatch,
    where that would count what others do."""
    cursor_rotate_days: int = 30
    """Cursors are sealed with a new key after so long; older keys open theirs for as long as they are kept."""
    cursor_keep_days: int = 90
    """Cursors older than this: recovery by snapshot, reason `cursor_expired`."""

    # --- the log ---
    read_retry_s: float = 1.0
    """Pause before a stream is read again after the log was away."""
    unavailable_retry_ms: int = 1000
    """What a client is told to wait after `unavailable`."""
    answer_timeout_s: float = 10.0
    """A write or query that takes longer: refused with `unavailable`."""

    live_states: int = 256
    """Offers, and orders, in one answer to a query for what is `live`. More: the oldest, and `more` in the answer."""
    live_bytes: int = 1 * MIB
    """The bodies in one such answer. More: likewise."""

    # --- drain ---
    drain_spread_s: float = 10.0
    """Clients are asked to reconnect at random within it."""
    drain_per_s: float = 200.0
    """Those who stay are closed at this rate, 4001."""

    @classmethod
    def of(cls, settings: ServerSettings) -> Self:
        """The gateway as the server's settings want it. Raises ConfigError for limits that are none."""
        chosen = cls(
            data_directory=settings.directory,
            host=settings.host,
            port=settings.gateway_port,
            tls_certificate=settings.tls_certificate,
            tls_key=settings.tls_key,
            **limits_of(cls, "GRIDSIGNAL_GATEWAY_", settings.limits),
        )
        if settings.tls != "proxy":
            return chosen
        return replace(  # everybody comes from the proxy's address
            chosen,
            strangers_of_a_network=chosen.strangers,
            network_handshakes_per_s=chosen.handshakes_per_s,
            network_handshake_burst=chosen.handshake_burst,
        )

    @property
    def protocol(self) -> Limits:
        """What bounds a connection's half of the protocol."""
        return Limits(**{each.name: getattr(self, each.name) for each in fields(Limits)})

    @property
    def arrivals(self) -> ArrivalLimits:
        """What the port bears."""
        return ArrivalLimits(
            self.strangers,
            self.strangers_of_a_network,
            self.max_connections,
            self.network_handshakes_per_s,
            self.network_handshake_burst,
        )
