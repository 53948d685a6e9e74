"""Every journey of messages.md, and how it ends: to the cent, by hand.

Where nothing else is said, 10 MW less are asked for three quarter hours at 80 EUR/MWh: 2.5 MWh x 80 = 200 a quarter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tests.journey import how_orders_come as comes
from tests.journey import what_orders_come_to as done
from tests.journey.travelling import Hours

Step = Callable[[Hours], Awaitable[None]]
Amounts = tuple[str | None, ...]
FULL: Amounts = ("200", "200", "200")


@dataclass(frozen=True, slots=True)
class Journey:
    """What happens, and how it ends."""

    play: Step
    ends: tuple[tuple[str, str, Amounts | None], ...]
    """Of each order that was issued, in turn: its site, its state, what its periods come to; None: nothing is said."""
    state: str = "SETTLED"
    """Of its last request, in the end; those before it are settled."""
    fee: str | None = None
    later: Step | None = None
    """What is said later."""
    day: int = 31
    """So many days later: the final version comes after thirty."""
    then: Amounts | None = None
    """What the one order comes to by then, in another version."""


def _one(state: str, amounts: Amounts | None, site: str = "fra-1") -> tuple[tuple[str, str, Amounts | None], ...]:
    return ((site, state, amounts),)


DONE = "COMPLETED"
TWELVE: Amounts = ("225",) * 3
SIX: Amounts = ("120",) * 3

JOURNEYS: Mapping[str, Journey] = {
    # --- the scenarios by their number; 15 is a test of all of them, and 9, 10, 12, 14 have no order
    "1: 12 MW": Journey(comes.twelve_megawatts, _one(DONE, ("270",) * 3)),
    "2: UFTP": Journey(comes.worked_example_of_uftp, _one(DONE, ("14", "14", "-4", "-22", "-33"), "muc-1")),
    "3: below the floor": Journey(comes.below_the_floor, (), state="UNMET"),
    "3: at the floor": Journey(comes.at_the_floor, _one(DONE, SIX)),
    "4: exclusive options": Journey(
        comes.exclusive_options, (("fra-1", DONE, ("70",) * 3), ("muc-1", "REFUSED", None))
    ),
    "5: withdrawn before the clearing": Journey(comes.withdrawn_before_the_clearing, (), state="UNMET"),
    "5: withdrawn before the acceptance": Journey(
        comes.withdrawn_before_the_acceptance, _one("CANCELLED", None), state="UNMET"
    ),
    "5: withdrawn after it": Journey(comes.withdrawn_after_the_acceptance, _one(DONE, FULL)),
    "6: the same megawatts twice": Journey(comes.the_same_megawatts_twice, _one(DONE, FULL, "muc-1"), state="UNMET"),
    "7: cancelled before it starts": Journey(
        comes.cancelled_before_it_starts, _one("CANCELLED", None), state="CANCELLED"
    ),
    "8: sent twice": Journey(done.an_offer_sent_twice, _one(DONE, FULL)),
    "11: derated": Journey(
        done.derated_while_it_runs, (("fra-1", DONE, ("200", "140", "140")), ("muc-1", DONE, ("45",)))
    ),
    "13: a dry run": Journey(done.a_dry_run, _one(DONE, None), state="COMPLETED"),
    "13: a test activation": Journey(done.a_test_activation, _one(DONE, FULL)),
    "16: silence": Journey(comes.silence, (("fra-1", "VOIDED", None), ("muc-1", DONE, TWELVE))),
    # --- other ends
    "cancelled while it runs": Journey(comes.cancelled_while_it_runs, _one(DONE, ("200", "66.67")), state="CANCELLED"),
    "one order cancelled": Journey(comes.one_order_cancelled, _one("CANCELLED", None), state="UNMET"),
    "refused, awarded again": Journey(
        comes.refused_and_awarded_again, (("fra-1", "REFUSED", None), ("muc-1", DONE, TWELVE))
    ),
    "refused by the only one": Journey(comes.refused_by_the_only_one, _one("REFUSED", None), state="UNMET"),
    "accepted in part": Journey(comes.accepted_in_part, (("fra-1", DONE, SIX), ("muc-1", DONE, ("90",) * 3))),
    "ended by its site": Journey(done.ended_by_its_site, _one(DONE, ("200", "200", "-110"))),
    "derated to nothing": Journey(done.derated_to_nothing, _one("ABORTED", ("200", "200", "0"))),
    "released early": Journey(done.released_early, _one(DONE, ("200", "200"))),
    "shortened and extended": Journey(done.shortened_and_extended, _one(DONE, FULL)),
    "extended beyond the request": Journey(done.extended_beyond_the_request, _one(DONE, (*FULL, "80"))),
    # --- several
    "two sites, one short": Journey(
        done.two_sites_of_which_one_is_short, (("fra-1", DONE, SIX), ("muc-1", DONE, ("23",) * 3))
    ),
    "paid as cleared": Journey(done.paid_as_cleared, (("fra-1", DONE, ("135",) * 3), ("muc-1", DONE, ("90",) * 3))),
    "two orders that overlap": Journey(
        done.two_orders_that_overlap, (("fra-1", DONE, FULL), ("fra-1", DONE, ("83", "140", "130.67")))
    ),
    # --- prices
    "less, below zero": Journey(done.less_at_a_price_below_zero, _one(DONE, ("-50",) * 3)),
    "more, below zero": Journey(done.more_at_a_price_below_zero, _one(DONE, ("-75", "-75", "-92.5"))),
    "more": Journey(done.more_at_a_price, _one(DONE, ("37.5",) * 3)),
    "a fee": Journey(done.an_activation_that_costs, _one(DONE, FULL), fee="50"),
    "unpaid": Journey(done.unpaid, _one(DONE, ("0",) * 3)),
    # --- readings and disputes
    "nobody metered": Journey(done.nobody_metered, _one(DONE, (None,) * 3, "ber-1")),
    "metered late": Journey(
        done.one_quarter_metered_late,
        _one(DONE, ("200", None, "200")),
        later=done.the_missing_quarter,
        day=2,
        then=("200", "45", "200"),
    ),
    "corrected": Journey(done.delivered, _one(DONE, FULL), later=done.a_correction, then=("200", "45", "200")),
    "a dispute rejected": Journey(done.delivered, _one(DONE, FULL), later=done.a_dispute_that_is_rejected),
    "a dispute answered by a correction": Journey(
        done.delivered, _one(DONE, FULL), later=done.a_dispute_that_a_correction_answers, then=("200", "45", "200")
    ),
}
