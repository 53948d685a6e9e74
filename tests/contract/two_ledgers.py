"""One site's evening at the real ledger and at the fake one, side by side."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gridsignal.testing import FakeSite, operating
from gridsignal.testing.world import Refusal, World
from gridsignal_schemas.messages import (
    ClearingTrigger,
    DispatchOrder,
    Record,
    ResponseKind,
)
from gridsignal_schemas.rules.lifecycle import OfferState
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.entry import Outcome
from gridsignal_services.ledger.picks import Pick
from tests.builders import (
    REQUEST_ID,
    a_baseline_declaration,
    a_dispatch_request,
    a_request_cancellation,
    an_order_response,
)
from tests.unit.ledger.market import OPERATORS_NAME, Market

WHO = "participant:acme"
OURS = {"participant": "acme", "site": "acme-1"}


class Both:
    """One site's evening at the real ledger and at the fake one."""

    def __init__(self, firmness: str) -> None:
        self.real = Market()
        self.real.site("acme")
        site = FakeSite("DE-LU", 60 * MW, 12 * MW, baseline_w=None)
        self.fake = World(lambda: self.real.now, "acme", {"acme-1": site})
        self.fake.write(a_baseline_declaration(**OURS, power_w=[40 * MW] * 96))
        self.said = 0
        self.codes: set[str] = set()
        """With which writes were refused, or offers rejected."""
        self.ask(firmness=firmness)

    def ask(self, **changes: Any) -> None:
        """The operator asks, or amends what it asked for."""
        request = a_dispatch_request(**{"clearing_mode": "BY_HAND"} | changes)
        taken, told = self.real.add(request, OPERATORS_NAME), ""
        try:
            operating.ask(self.fake.ledger, request, self.real.now)
        except ValueError as refused:
            told = str(refused)
        if taken.code == "ILLEGAL_STATE":  # which one it is, the fake does not know where it takes a clearing
            assert told.startswith("expected a state that allows 'amend'")
        elif not taken.duplicate:
            assert told == _said(taken), request
        self.codes |= {broken.code for broken in taken.faults}
        if taken.accepted:
            self.fake.publish(request)
        self.agree()

    def write(self, record: Record) -> None:
        """The site writes; both say the same, and think the same afterwards."""
        outcome, answer = self.real.add(record, WHO), self.fake.write(record)
        assert verdict_of(outcome) == said_of(answer), (record, outcome.faults, answer)
        self.codes |= {outcome.code, *(broken.code for broken in outcome.faults)}
        self.agree()

    def award(self, name: str, power_w: int) -> None:
        """The operator chooses an offer by hand, where it can be chosen."""
        held = self.real.ledger.offers.get(("acme", name))
        if held is None or held.offer.request_id is None or not self.fake.ledger.offers[name].callable:
            return
        pick = Pick("acme", name, held.offer.options[0].option, power_w)
        clearing = self.real.decided(ClearingTrigger.BY_HAND, held.offer.request_id, [pick])
        if self.real.add(clearing, OPERATORS_NAME).accepted:
            for record in self.real.act():
                if isinstance(record, DispatchOrder):
                    self.fake.publish(record)
        self.agree()

    def cancel(self) -> None:
        """The operator takes the request back."""
        if self.real.cancel().accepted:
            self.fake.publish(a_request_cancellation())
            operating.cancel(self.fake.ledger, self.fake.ledger.asked[REQUEST_ID].request, self.real.now)
        self.agree()

    def change(self, *, which: int = 1, **changes: Any) -> None:
        """The operator changes its latest order, or takes it back; `which` counts from the latest."""
        orders = [*self.real.ledger.orders.values()]
        if len(orders) < which:
            return
        order = orders[-which].order
        taken, told = self.real.change(order, **changes), ""
        try:
            operating.change(self.fake.ledger, order.order_id, self.real.now, **changes)
        except ValueError as refused:
            told = str(refused)
        assert told == "; ".join(broken.message for broken in taken.faults)
        self.codes |= {broken.code for broken in taken.faults}
        self.agree()

    def reach(self, when: datetime) -> None:
        """Time passes."""
        self.real.run_until(max(when, self.real.now))
        self.agree()

    def answer(self, kind: ResponseKind, again: bool, **said: Any) -> None:
        """The site answers its latest order."""
        if not self.real.ledger.orders:
            return
        held = [*self.real.ledger.orders.values()][-1].order
        self.said += not again
        of = {"order_id": held.order_id, "request_id": held.request_id, "response_id": f"response-{self.said}"}
        revision = held.revision + said.pop("ahead", 0)
        self.write(an_order_response(**OURS, **of, response=kind, revision=revision, **said))

    def agree(self) -> None:
        """Both have got to the same state."""
        self.real.act()
        self.fake.ledger.pass_time(self.real.now)
        while self.fake.ledger.owed:
            self.fake.publish(self.fake.ledger.owed.pop(0))
        orders = {
            name: (held.state, held.order.revision, held.power_w) for name, held in self.fake.ledger.orders.items()
        }
        assert orders == {
            name: (held.state, held.order.revision, held.power_w) for name, held in self.real.ledger.orders.items()
        }
        ends = {name: held.order.ends_at for name, held in self.fake.ledger.orders.items()}
        assert ends == {name: held.order.ends_at for name, held in self.real.ledger.orders.items()}
        for name, standing in self.fake.ledger.offers.items():
            found = self.real.ledger.offer_state("acme", name)
            assert found is not None
            assert (standing.state, standing.offer.revision) == (found.state, found.revision), name
            if standing.state is OfferState.REJECTED:
                assert standing.codes == found.codes


def _said(outcome: Outcome) -> str:
    return "; ".join(": ".join(filter(None, (broken.pointer, broken.message))) for broken in outcome.faults)


def verdict_of(outcome: Outcome) -> tuple[str, bool]:
    if outcome.receipt is None:
        return outcome.code.lower(), False
    return "received", outcome.duplicate


def said_of(answer: Any) -> tuple[str, bool]:
    if isinstance(answer, Refusal):
        return answer.code, False
    return "received", answer[1]
