"""The grid as a data center's program sees it: subscribe, offer, accept, report, measure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Unpack, overload

from gridsignal.answers import ack_body, baseline_body, body_of, dispute_body, reading_body, response_body
from gridsignal.clock import Clock
from gridsignal.errors import UsageError
from gridsignal.history import Archive, BaselineStretch, CarbonPoint, PricePoint, Settled
from gridsignal.ids import standing_id, uuid7
from gridsignal.lines import Limits
from gridsignal.offers import SHED, StandingOption, Terms, deadline_of, offer_body, option_for, standing_body
from gridsignal.regulating import Regulation
from gridsignal.standing import Listing, OfferStatus, OrderStatus, offers_in, orders_in
from gridsignal.subscription import Subscription
from gridsignal.wanted import subscriptions_of
from gridsignal.wiring import Wiring
from gridsignal_schemas.evidence import Evidence, Proof
from gridsignal_schemas.frames import Mode, Receipt, States
from gridsignal_schemas.messages import (
    BaselineFixed,
    DailyHours,
    DispatchOrder,
    DispatchRequest,
    EnergyCertificate,
    Flexibility,
    FlexOffer,
    GridAlert,
    MeterReading,
    Settlement,
)
from gridsignal_schemas.reports import MatchingReport
from gridsignal_schemas.rules.products import Product

Report = Literal["STARTED", "SUSTAINING", "UNAVAILABLE", "COMPLETED"]
Ack = Literal["UNDERSTOOD", "WILL_ACT", "APPLIED", "CANNOT_ACT"]


class Grid:
    """The grid, as seen from one site; made by `connect`, for the event loop it runs in."""

    def __init__(self, wiring: Wiring, limits: Limits, archive: Archive) -> None:
        self._wiring, self._limits, self._archive = wiring, limits, archive

    @property
    def clock(self) -> Clock:
        """Grid time: `now()` and `await sleep_until(when)`."""
        return self._wiring.clock

    @property
    def zone(self) -> str | None:
        """The zone in which the connection's site lies; None without a site."""
        return self._wiring.zone

    def now(self) -> datetime:
        """Grid time, aware, in UTC: what every datetime in a record is compared with."""
        return self._wiring.clock.now()

    # --- reading -------------------------------------------------------------------------------------------------

    def subscribe(
        self,
        *streams: str,
        zones: Sequence[str] | None = None,
        products: Sequence[str] | None = None,
        accounting: Sequence[str] | None = None,
        mode: Mode = "every",
        snapshot: bool = True,
        cursor: Mapping[str, str] | str | None = None,
    ) -> Subscription:
        """An async iterator over one or more streams: the current state first, then everything new, without a gap.

        Streams: prices, carbon, alerts, dispatch. `products` narrows prices, `accounting` carbon.
        `mode="latest"` lets prices and carbon skip to the newest of a series when this program is slow;
        alerts and dispatch always come one by one. `cursor` resumes where a `Subscription.cursor` was saved (a plain
        string where there is one stream), and there is no snapshot then.

        Yields records, `Gap` where something may be missing, `OrderOver` for orders that ended unseen.
        Raises UsageError here, and SubscriptionRefused or ConnectionFailed from the iterator.
        """
        wanted = subscriptions_of(
            streams,
            cursor,
            mode=mode,
            snapshot=snapshot,
            zones=zones,
            products=products,
            accounting=accounting,
        )
        return self._wiring.subscribe(wanted, limit=self._limits.queue)

    def regulate(self, order: DispatchOrder) -> Regulation:
        """An async iterator over where the site is to be under an order that it has accepted, until the order ends.

        Yields a `RegulationSetpoint` every few seconds, the newest where this program is slow, none that is over; and a
        `RampToBase` once three cycles were missed. Both say `power_w(band_w)`. An order that was extended has a later
        end: give it anew. Raises as `subscribe` does.
        """
        wanted = subscriptions_of(["regulation"], None, mode="latest", snapshot=True, orders=[order.order_id])
        return Regulation(self._wiring.subscribe(wanted, limit=self._limits.queue), order, self.clock)

    async def query(
        self, *, offer_ids: Sequence[str] = (), order_ids: Sequence[str] = (), response_ids: Sequence[str] = ()
    ) -> States:
        """Where offers, orders and responses stand in the log; None for those it does not hold.

        It is asked once: Refused is raised with `retriable` where it came too fast (`rate`) or while the log was away
        (`unavailable`), by `orders` and `offers` likewise.
        """
        return await self._wiring.query(offer_ids, order_ids, response_ids)

    async def orders(self) -> Listing[OrderStatus]:
        """The site's orders that are not over, as they stand, with what was answered; without a site all your sites'.

        What a program follows after a restart, whichever of its runs accepted it. `more` says that there are more than
        one answer holds.
        """
        return orders_in(await self._wiring.query(live=True))

    async def offers(self) -> Listing[OfferStatus]:
        """The site's offers that are not over, on requests that are not: state, power, the offer itself."""
        return offers_in(await self._wiring.query(live=True))

    @overload
    async def history(
        self, signal: Literal["prices"], zone: str, start: datetime, end: datetime, *, as_of: datetime | None = None
    ) -> list[PricePoint]: ...

    @overload
    async def history(
        self, signal: Literal["carbon"], zone: str, start: datetime, end: datetime, *, as_of: datetime | None = None
    ) -> list[CarbonPoint]: ...

    async def history(
        self,
        signal: Literal["prices", "carbon"],
        zone: str,
        start: datetime,
        end: datetime,
        *,
        as_of: datetime | None = None,
    ) -> list[PricePoint] | list[CarbonPoint]:
        """What was published of a zone's prices or carbon for the intervals that touch [start, end), in order of time.

        The best figure of each interval as it is known now, or was at `as_of`; points of other markets, sources and
        bases stand beside each other. Needs `connect(api=...)`.

        Raises UsageError, Unreachable, Unauthorized, NotPermitted.
        """
        if signal == "prices":
            return await self._archive.prices(zone, start, end, as_of)
        if signal == "carbon":
            return await self._archive.carbon(zone, start, end, as_of)
        raise UsageError(f"expected 'prices' or 'carbon', got {signal!r}")

    # --- offering ------------------------------------------------------------------------------------------------

    async def offer(
        self,
        request: DispatchRequest | FlexOffer,
        power_w: int | None = None,
        price_per_mwh: Decimal | str | int | None = None,
        *,
        offer_id: str | None = None,
        revision: int = 1,
        flexibility: Flexibility = SHED,
        expires_at: datetime | None = None,
        certificates: Sequence[EnergyCertificate] = (),
        **terms: Unpack[Terms],
    ) -> Receipt:
        """Offers flexible load; returns once the log has it.

        For a request, `power_w` watts at `price_per_mwh` in the request's currency are one option over its window,
        divisible down to its smallest award, with the notice and ramps that fit; any field of the option can be given
        by name. An operator can extend its order within that window alone: name a later `ends_at` where the load can
        wait. It stands by until the request is over unless `expires_at` says
        otherwise. `certificates` are for people, no rule reads them. A FlexOffer is sent as it is. Whether the offer
        keeps the rules and is chosen follows as OfferDecision.

        Raises Refused (Invalid, Conflict, ...), and DeadlinePassed when it could not be sent before gate closure: also
        for a request that a program finds in its snapshot after a restart, and whose gate has closed since.
        Cancelling the call does not take the offer back: it is in the outbox. `withdraw` does.
        """
        if isinstance(request, FlexOffer):
            deadline, ident, body = request.expires_at, request.offer_id, body_of(request)
        else:
            if power_w is None or price_per_mwh is None:
                raise UsageError("expected power_w= and price_per_mwh= with a request, got a request alone")
            ident = offer_id or uuid7()
            body = offer_body(
                request,
                option_for(request, power_w, price_per_mwh, terms),
                offer_id=ident,
                revision=revision,
                flexibility=flexibility,
                expires_at=expires_at,
                site=self._site("offer"),
                certificates=certificates,
            )
            deadline = deadline_of(request, expires_at or request.ends_at)
        return await self._wiring.post.submit("offer", ident, ident, body, deadline)

    async def stand_by(
        self,
        product: str,
        power_w: int,
        price_per_mwh: Decimal | str | int,
        *,
        currency: str,
        ends_at: datetime,
        full_activation_s: int,
        max_duration_s: int,
        hours: Sequence[DailyHours] = (),
        offer_id: str | None = None,
        revision: int = 1,
        flexibility: Flexibility = SHED,
        **terms: Unpack[StandingOption],
    ) -> Receipt:
        """Offers power for any request of a product in the site's zone, such as EMERGENCY_SHED, until `ends_at`.

        A request of it makes an offer of yours on it, of what the site has left then, and calls it without asking you:
        an order follows within seconds, to be answered as any other. `full_activation_s` after its issue the power is
        there, for `max_duration_s` at most; in one of `hours` (UTC, every day) a call lies whole. `rest_s` and
        `max_activations_per_day` say how often. A later revision changes it, `withdraw` takes it back.

        Without `offer_id` it is the site's one offer for the product: the same terms are the same offer, and others a
        Conflict until `revision` says that they are new. After a withdrawal or its end another needs an `offer_id`.

        Whether it keeps the rules follows as OfferDecision. Raises as `offer` does.
        """
        site = self._site("stand by")
        ident = offer_id or standing_id(site, product)
        said: dict[str, Any] = {**terms, "ends_at": ends_at, "full_activation_s": full_activation_s}
        said["max_duration_s"] = max_duration_s
        body = standing_body(
            product,
            power_w,
            price_per_mwh,
            said,
            currency=currency,
            hours=hours,
            offer_id=ident,
            revision=revision,
            flexibility=flexibility,
            site=site,
        )
        return await self._wiring.post.submit("offer", ident, ident, body, ends_at)

    async def withdraw(self, offer_id: str, reason: str = "") -> Receipt:
        """Takes an offer back, whatever its revision; returns once the log has accepted that. Raises Refused."""
        self._site("withdraw")
        return await self._wiring.post.submit("withdraw", offer_id, offer_id, {"reason": reason})

    # --- answering orders ----------------------------------------------------------------------------------------

    # An answer that was given before, by an earlier run or by another program of the site, gets its first receipt.
    # `actor` names who or what answered: the connection's instance, or the participant, where it is not said.

    async def accept(self, order: DispatchOrder, power_w: int | None = None, *, actor: str | None = None) -> Receipt:
        """Accepts an order, or `power_w` of it; a site starts only after this has returned.

        Accepting what this site has accepted already is no error, so that a program can do so after each restart.
        Raises TooLate where the order was void by then: the site must not start; Refused where it is over.
        """
        return await self._respond(order, "ACCEPTED", accepted_w=power_w, actor=actor)

    async def refuse(
        self, order: DispatchOrder, reason_code: str = "", reason: str = "", *, actor: str | None = None
    ) -> Receipt:
        """Refuses an order; the next in merit order is asked."""
        return await self._respond(order, "REFUSED", reason_code=reason_code, reason=reason, actor=actor)

    async def report(
        self,
        order: DispatchOrder,
        response: Report,
        *,
        available_w: int | None = None,
        reason_code: str = "",
        reason: str = "",
        actor: str | None = None,
    ) -> Receipt:
        """Reports how an accepted order goes: STARTED, SUSTAINING, UNAVAILABLE (with `available_w`), COMPLETED.

        The ledger's clock starts and completes orders, too: reporting what it has done already is no error. Raises
        TooEarly for STARTED, SUSTAINING and COMPLETED more than a second before the period.
        """
        said = {"reason_code": reason_code, "reason": reason, "actor": actor}
        return await self._respond(order, response, available_w=available_w, **said)

    async def fixed_baselines(self, request_id: str) -> list[BaselineFixed]:
        """What your sites would draw by a request's baseline method, as it was fixed when the gate had closed; without
        one of its own, what you declared holds. Needs `connect(api=...)`.

        Raises UsageError, Unreachable, Unauthorized, NotPermitted.
        """
        return await self._archive.fixed_baselines(request_id)

    async def products(self) -> list[Product]:
        """What operators ask for by name: notice, times, sizes and rests, and the rule it is settled by.

        A request carries the terms of its product, too (`product_terms`). Needs `connect(api=...)`.
        Raises UsageError, Unreachable, Unauthorized, NotPermitted.
        """
        return await self._archive.products()

    # --- answering alerts ----------------------------------------------------------------------------------------

    async def acknowledge(
        self, alert: GridAlert, state: Ack, *, reason_code: str = "", reason: str = "", actor: str | None = None
    ) -> Receipt:
        """Says of this revision of an alert in the site's zone: UNDERSTOOD, WILL_ACT, APPLIED or CANNOT_ACT.

        That it was received the SDK says itself. The first word of each kind counts; APPLIED is the site's word, what
        the meters show is told beside it. A drill is answered as the real thing, and not acted on.
        """
        self._site("acknowledge an alert")
        actor = actor or self._wiring.post.actor
        body = ack_body(alert, state, actor=actor, at=self.now(), reason_code=reason_code, reason=reason)
        return await self._wiring.post.submit("acknowledge", "", f"alert {alert.provider} {alert.alert_id}", body)

    # --- what it came to -----------------------------------------------------------------------------------------

    def settlements(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        request_id: str | None = None,
        state: str | None = None,
    ) -> AsyncIterator[Settled]:
        """The newest version of what each order came to, by the end of the order: `async for each in ...`.

        Of orders that touch [start, end), or of all that have not been settled for more than a day. Versions that come
        later are signals on `dispatch`. Needs `connect(api=...)`.
        Raises UsageError, Unreachable, Unauthorized, NotPermitted.
        """
        return self._archive.settlements(start, end, request_id=request_id, state=state)

    async def matching(self, month: str, *, site: str | None = None, zone: str | None = None) -> MatchingReport:
        """What a month's consumption was matched by, hour by hour: by certificates, and by the zone's carbon.

        `month` is such as "2024-05"; of all your sites, unless one or a zone is named. Needs `connect(api=...)`.
        Raises UsageError, Unreachable, Unauthorized, NotPermitted.
        """
        return await self._archive.matching(month, site=site, zone=zone)

    async def heads(self, zone: str, *, limit: int = 5, since: int | None = None) -> list[Evidence]:
        """Signed heads of the log on which a zone is written, the newest first, each with what shows that it extends
        the next one; with `since`, the size of one that you keep, the last one also that of yours.

        They are shown a day late, or as late as the operator has said. Needs `connect(api=...)`.
        Raises UsageError, Unreachable, Unauthorized, NotPermitted.
        """
        return await self._archive.heads(zone, limit, since)

    async def proof(
        self,
        kind: Literal["offer", "order", "request", "settlement"] | None = None,
        record_id: str | None = None,
        *,
        request_id: str | None = None,
        zone: str | None = None,
        offset: int | None = None,
        since: int | None = None,
    ) -> Proof:
        """What proves a record: the newest revision of what has an id, of a settlement its order's, or the record at an
        offset of a zone's log. `request_id` finds an offer on a request that is over.

        `evidence` is what `gridsignal audit verify` checks. Refused for a record that no head covers which you may see.
        Needs `connect(api=...)`. Raises UsageError, Unreachable, Unauthorized, NotPermitted.
        """
        named = {"kind": kind, "id": record_id, "request_id": request_id}
        return await self._archive.proof(**named, zone=zone, offset=offset, since=since)

    async def dispute(
        self,
        settlement: Settlement,
        reason_code: str,
        text: str = "",
        *,
        claimed: Decimal | str | int | None = None,
        actor: str | None = None,
    ) -> Receipt:
        """Holds a settlement's newest version to be wrong, once for each reason; `claimed` is the total that is right.

        Raises TooLate when its window has ended, Conflict where a newer version has come; the same again gets the first
        receipt.
        """
        actor = actor or self._wiring.post.actor or f"participant:{settlement.participant}"
        body = dispute_body(settlement, reason_code, text, claimed, actor)
        return await self._wiring.post.submit("dispute", "", settlement.settlement_id, body)

    # --- the site itself -----------------------------------------------------------------------------------------

    async def declare_baseline(
        self, starts_at: datetime, power_w: Sequence[int], *, resolution_s: int = 900, method: str = "declared"
    ) -> Receipt:
        """Declares what the site will draw if nobody asks for anything; the last before a request counts."""
        body = baseline_body(self._site("declare a baseline"), starts_at, power_w, resolution_s, method)
        return await self._wiring.post.submit("baseline", "", "baseline", body)

    async def baseline(self, start: datetime, end: datetime) -> list[BaselineStretch]:
        """What the site has declared that it draws over [start, end): parts of constant power in order of time.

        Of each moment the newest word; where nothing is declared there is a gap. Needs `connect(api=...)`.
        Raises UsageError, Unreachable, Unauthorized, NotPermitted.
        """
        return await self._archive.declared(self._site("read its baseline"), start, end)

    async def meter(self, reading: MeterReading | None = None, /, **fields: Any) -> Receipt:
        """Reports what flowed in one interval: a MeterReading, or its fields by name.

        `meter`, `starts_at`, `ends_at` and `import_w` are needed; point CONNECTION, export_w 0, quality OK and a `seq`
        that counts intervals are filled in; `certificates` are the EnergyCertificates cancelled for it. A reading can
        reach the log twice when a receipt is lost: `seq` tells.
        """
        site = self._site("report readings")
        body = reading_body(site, fields) if reading is None else body_of(reading)
        return await self._wiring.post.submit("reading", "", "", body)

    # --- the connection ------------------------------------------------------------------------------------------

    async def ping(self) -> None:
        """Returns when the gateway has answered a ping: all it had sent before has arrived."""
        await self._wiring.ping()

    async def settled(self) -> None:
        """Returns when all is quiet: a ping answered, the outbox empty, every subscription's reader waiting.

        What a simulation with a stepped clock asks for before it moves on. It does not return while a program does
        something else than wait for its next message.
        """
        await self._wiring.settled()

    async def _respond(self, order: DispatchOrder, response: str, **said: Any) -> Receipt:
        said["actor"] = said.get("actor") or self._wiring.post.actor
        body = response_body(order, response, at=self.now(), **said)
        return await self._wiring.post.submit("respond", body["response_id"], order.order_id, body)

    def _site(self, verb: str) -> str:
        if self._wiring.site is None:
            raise UsageError(f"expected connect(site=...) in order to {verb}, got a connection without a site")
        return self._wiring.site
