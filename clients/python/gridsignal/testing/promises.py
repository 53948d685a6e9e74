"""What the fake grid's sites have said they draw, and what follows for what they can still give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from gridsignal.testing.site import FakeSite
from gridsignal.testing.standing import Asked, Held
from gridsignal_schemas.frames import Detail, Receipt
from gridsignal_schemas.messages import BaselineDeclaration, DispatchRequest, SiteRegistration
from gridsignal_schemas.rules.baselines import (
    FOR_EVER,
    NEVER_LOGGED,
    TOO_MANY,
    Declared,
    Question,
    are_too_many,
    declaration_fault,
    still_asked_for,
)
from gridsignal_schemas.rules.headroom import headroom_w, promised


class Promises:
    """Sites and their baselines, in the order in which they came."""

    def __init__(self, sites: Mapping[str, FakeSite], participant: str, now: datetime) -> None:
        self.sites: dict[str, SiteRegistration] = {
            name: site.registration(name, participant) for name, site in sites.items()
        }
        self._declared = {name: list(site.declared(name, participant, now)) for name, site in sites.items()}
        self._questions: list[Question] = []
        self._place = 0

    def next_place(self, request: DispatchRequest) -> int:
        """The place of a new request: a baseline that is declared later does not count for it."""
        self._place += 1
        self._questions.append(Question(self._place, request.starts_at, FOR_EVER))
        return self._place

    def declared(self, site: str) -> Sequence[Declared]:
        """What a site has declared, as far as it can still count."""
        return self._declared[site]

    def receipt_of(self, baseline: BaselineDeclaration) -> Receipt | None:
        """The first receipt of the site's newest declaration, if this is the same again."""
        newest = self._declared[baseline.site][-1:]
        return newest[0].receipt if newest and newest[0].baseline == baseline else None

    def declaration_fault(self, baseline: BaselineDeclaration, now: datetime) -> Detail | None:
        """Why a declaration is refused."""
        if problem := declaration_fault(baseline, self.sites[baseline.site].capacity_w):
            return problem
        asked = [Question(NEVER_LOGGED, now, FOR_EVER), *self._questions]
        self._declared[baseline.site] = still_asked_for(self._declared[baseline.site], asked)
        current = [kept for kept in self._declared[baseline.site] if kept.ends_at > now]
        return TOO_MANY if are_too_many(current, baseline) else None

    def declare(self, baseline: BaselineDeclaration, receipt: Receipt) -> None:
        """A declaration without a fault counts from now on."""
        self._place += 1
        self._declared[baseline.site].append(Declared.of(self._place, baseline, receipt))

    def headroom_w(
        self, site: str, asked: Asked, live: Iterable[Held], starts_at: datetime, ends_at: datetime
    ) -> int | None:
        """What the site can still promise a request over a period, in watts; None without a baseline."""
        declared, registered, request = self._declared[site], self.sites[site], asked.request
        taken = promised(live, request)
        return headroom_w(declared, registered, request, starts_at, ends_at, before=asked.place, promised=taken)
