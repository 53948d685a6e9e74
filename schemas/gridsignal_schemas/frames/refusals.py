"""The codes of refusals and errors, and what each means."""

from __future__ import annotations

REFUSALS: dict[str, str] = {
    "bad_frame": "the message is not a JSON object in a text frame",
    "unknown_frame": "no frame of this protocol has this `t`",
    "schema": "a field is missing, unknown in a body, or not what the contract says; `details` has each",
    "hello_first": "something came before the hello",
    "hello_twice": "a second hello",
    "unauthorized": "the token in a `token` frame is not valid; the old one still counts",
    "forbidden": "not yours, or not within the token's scopes; what does not exist is answered likewise",
    "unknown_stream": "no stream of this name can be subscribed to",
    "unsupported_mode": "`latest` on a stream that never conflates",
    "already_subscribed": "this connection has exactly this subscription",
    "too_many_subscriptions": "more than `max_subscriptions`, or more different filters than an organisation may have",
    "unknown_subscription": "this connection has no such `sub`",
    "rate": "too fast, alone or with the others of your organisation, or more unanswered writes and queries than"
    " `offer_window`; retriable after `retry_after_ms`",
    "unavailable": "the log is away or slow: the outcome is unknown; send the same again, or query; retriable",
    "conflict": "this id (and revision) already has another content",
    "revision": "not the next revision of the offer, or not the current one of the order",
    "order_unknown": "no order of this id to this site",
    "offer_unknown": "no offer of this id by this participant",
    "site_unknown": "the ledger does not know this site as yours in this zone",
    "too_late": "an ACCEPTED after `respond_by` of a voluntary order, or after it was voided: do not start",
    "illegal_state": "the order or offer is in a state in which this is not possible",
    "accepted_w": "accepted power outside 1 to the ordered power",
    "available_w": "UNAVAILABLE that does not reduce the power",
    "unknown_symbol": "an enum's UNKNOWN, on which nobody acts",
    "over_capacity": "a baseline above what the connection carries",
    "resolution": "a baseline finer than the ledger takes",
    "baselines": "the site has as many declarations under way as it may have; declare longer ones less often",
    "revisions": "revised as often as it can be: make another",
    "responses": "the order has had as many answers as are kept",
    "too_early": "STARTED, SUSTAINING or COMPLETED over a second before the order's period; taken once it has begun",
}
"""Codes of `refused` and `error`; PROTOCOL.md shows them. Clients treat others as final unless `retriable` is true."""
