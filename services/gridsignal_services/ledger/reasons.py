"""What the codes of the ledger mean to a person."""

from __future__ import annotations

from collections.abc import Iterable

REASONS: dict[str, str] = {
    "OUTBID": "cheaper offers, or earlier ones at the same price, covered what was asked",
    "COVERED": "what was asked for is covered by others already, not all of them cheaper",
    "TAKEN_BACK": "the operator has taken back what is lacking: only a person orders it again",
    "NEXT_CLEARING": "it is called in the clearing that follows at once: there was no room for more in this one",
    "NOT_PICKED": "somebody awarded by hand and picked others",
    "INDIVISIBLE": "it can only be taken whole, and that is more than was lacking",
    "LEVELS": "none of its levels fits into what was lacking",
    "STEP": "its power is no multiple of the request's step",
    "MIN_POWER": "what was lacking is below the offer's floor",
    "MIN_QUANTITY": "what was left for it is below the request's smallest award",
    "DURATION": "the period is shorter than it can be activated for",
    "TOO_LATE": "there was no time left to answer, ramp and serve its shortest activation",
    "OVERCOMMITTED": "more than the site can still move: its baseline, its limits, or what it has promised elsewhere",
    "PRICE_CAP": "its price is above the request's cap",
    "NOTICE": "it needs more notice than the request gives",
    "FULL_ACTIVATION": "it reaches full power too late",
    "RAMP": "its ramp does not reach the power in time",
    "REST": "the site still rests after its last activation",
    "EXPIRED": "it expired before it was called",
    "ACTIVATIONS": "the site has been activated as often as it can be in a day",
    "ORDERS_OF_SITE": "the site has as many orders as one may have at a time",
    "NO_ANSWER": "the site did not answer its order in time",
    "REFUSED": "the site refused its order",
    "NOT_CONSIDERED": "it came while the decision was being made, or had expired by then",
}
"""Why an offer got nothing; codes without a line here speak for themselves."""


def reason_of(codes: Iterable[str]) -> str:
    """The codes as one line for people."""
    return "; ".join(REASONS.get(code, code) for code in codes)
