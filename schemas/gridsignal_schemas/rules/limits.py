"""The caps of the reduce: constants of the ledger, the same on every node, for a setting would let nodes differ.

What one participant may write within them takes tens of megabytes of each node, and leaves room for the others.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridsignal_schemas.values import MAX_ACTIVATION_FEE, MAX_PRICE_PER_MWH


@dataclass(frozen=True, slots=True)
class Limits:
    """Each says what happens at the bound."""

    offers_of_site: int = 64
    """Of one site on one request, those taken back included; more are rejected with OFFERS_OF_SITE."""
    offers_of_participant: int = 500
    """Of one participant on one request; more are rejected with OFFERS_OF_PARTICIPANT."""
    offers_of_request: int = 4000
    """On one request; beyond it only who has fewer than offers_reserved may offer, others: OFFERS_OF_REQUEST."""
    offers_reserved: int = 8
    """So many of each participant fit on a request, however many others offer."""
    offers_standing: int = 2000
    """That one participant has sent for all requests that are not over; more are rejected with OFFERS_STANDING."""
    offers_for_products: int = 64
    """Of one participant that stand for a product, in the zones of one partition; more are rejected with
    OFFERS_STANDING."""
    offers_called: int = 2000
    """That one operator's requests that are not over have made of one participant's standing offers; beyond it they
    are passed over in silence."""
    offers_turned_down: int = 16
    """Rejected offers of one participant that a request's book lists; more are kept as digest and receipt alone."""
    offers_set_aside: int = 4096
    """Of one participant, rejected and kept as digest and receipt; then the oldest is forgotten."""
    decisions_owed: int = 4096
    """Not yet announced to one participant; until some are, its offers that break rules are refused with
    DECISIONS_OWED."""
    revisions_of_offer: int = 50
    """More are refused with REVISIONS: make another offer."""
    revisions_of_request: int = 100
    """More are refused with REVISIONS: make another request."""
    revisions_of_order: int = 200
    """An operator's further changes are refused with REVISIONS."""
    requests_open: int = 500
    """Of one operator in one zone; more are refused with OPEN_REQUESTS until one is over."""
    responses_of_order: int = 64
    """More are refused with RESPONSES, but for one that decides or ends the order."""
    orders_of_site: int = 128
    """Orders of one site that are not over; further offers of it are passed over with ORDERS_OF_SITE."""
    baselines_of_site: int = 64
    """Declarations of one site that are not over and that a request may count on; more are refused with BASELINES."""
    baseline_points_of_site: int = 50_000
    """Their intervals in all; more are refused with BASELINES."""
    baseline_resolution_s: int = 60
    """A finer baseline is refused with RESOLUTION."""
    kept_when_over_s: int = 86_400
    """A request that has been over for so long leaves memory; it is read from disk, and a repeat is still known."""
    requests_kept: int = 2000
    """Of one operator that are over; of more the one that ended first leaves memory before its time."""
    versions_of_settlement: int = 64
    """Later readings give a settlement that has so many no further one."""
    disputes_of_version: int = 16
    """Of one version of a settlement; more are refused with DISPUTES."""
    requests_unsettled: int = 10_000
    """Of one operator that are over and not settled; of more the one that ended first leaves memory, and its orders are
    settled from disk."""
    settlements_outliving: int = 20_000
    """Of one operator whose orders have left memory and that wait for a version or for disputes; of more the one that
    has waited longest leaves, too: if it is not final no version follows, and if it is disputes are not taken."""
    price_per_mwh: int = MAX_PRICE_PER_MWH
    """A price further from zero is rejected with PRICE."""
    activation_fee: int = MAX_ACTIVATION_FEE
    """A higher fee, or one below zero, is rejected with FEE."""
    fee_per_mwh: int = 1_000_000_000_000
    """A fee that comes to more for each MWh of the whole option is rejected with FEE."""
    awards_of_clearing: int = 1000
    """Awards in one clearing; a request that needs more is cleared again at once."""
    losers_of_clearing: int = 1000
    """Losers a clearing lists, the best of the merit order; the reduce finds the others' reasons by the same rules."""


LIMITS = Limits()
