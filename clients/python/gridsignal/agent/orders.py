"""What becomes of an order at the site, each state told apart: received, accepted, applied, verified, failed, over.

Applied is what the actuator reads back, verified what the meter shows. A state is a value: kept on disk, it says after
a restart what is still to be told to the grid. Decisions: the time and what was read in, the next state out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from pydantic import Field

from gridsignal.agent.schedule import Commitment
from gridsignal.agent.words import power
from gridsignal_schemas.messages import Direction, DispatchOrder, OrderState
from gridsignal_schemas.rules.lifecycle import ORDER_OVER
from gridsignal_schemas.values import Power, Shape, Timestamp

Report = Literal["STARTED", "SUSTAINING", "UNAVAILABLE", "COMPLETED"]
METER, ACTUATOR, ALERT = "METER_SHOWS_LESS", "ACTUATOR_HOLDS_LESS", "HELD_BY_ALERT"
"""Why less is available than was accepted, for machines."""


class Stage(StrEnum):
    """How far an order has come at the site."""

    RECEIVED = "RECEIVED"
    """Nothing was answered so far."""
    ACCEPTED = "ACCEPTED"
    """The log has the acceptance; the actuator does not hold it yet, or its time has not come."""
    APPLIED = "APPLIED"
    """The actuator reads back at least its watts."""
    VERIFIED = "VERIFIED"
    """The meter shows at least its watts, but for the tolerance."""
    FAILED = "FAILED"
    """Nothing of it is possible any more, and the grid is told."""
    RESTORING = "RESTORING"
    """Its end has come, and the load comes back."""
    OVER = "OVER"
    """Refused, cancelled, void, or restored."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what was ordered may be missing before it is told."""

    apply_s: int = 60
    """From when the actuator could hold it until it does."""
    verify_s: int = 300
    """From when the actuator holds it until the meter shows it."""
    tolerance: float = 0.05
    """The share of the ordered power that may be missing at the meter."""


class Followed(Shape):
    """An order and what has become of it."""

    order: DispatchOrder
    stage: Stage = Field(default=Stage.RECEIVED, strict=False)
    binds_w: Power = 0
    """What the site keeps to: what was accepted, less what has failed."""
    told_w: Power = 0
    """What the log knows of that."""
    reason_code: str = ""
    """Why it is less than was accepted."""
    said: tuple[str, ...] = Field(default=(), strict=False)
    """The reports that the log has."""
    short_since: Timestamp | None = None
    """Since when the actuator holds less."""
    unseen_since: Timestamp | None = None
    """Since when the meter shows less, or has not been asked."""

    @property
    def is_live(self) -> bool:
        """Whether the site keeps to it, now or later."""
        return self.stage in _LIVE and self.binds_w > 0

    def at_its_end(self) -> Followed:
        """Its end has come: what it holds back comes back as the site restores."""
        return self.so(stage=Stage.RESTORING if self.is_live else Stage.OVER)

    def runs(self, now: datetime) -> bool:
        """Whether its time is now."""
        order = self.order
        return self.is_live and order.starts_at <= now and (order.ends_at is None or now < order.ends_at)

    def so(self, **changes: Any) -> Followed:
        """The same with these changes."""
        return self.model_copy(update=changes)


_LIVE = (Stage.ACCEPTED, Stage.APPLIED, Stage.VERIFIED, Stage.RESTORING)


class Due(NamedTuple):
    """A report that the log does not have yet."""

    report: Report
    available_w: int | None = None
    reason_code: str = ""
    reason: str = ""


def commitment_of(followed: Followed) -> Commitment | None:
    """What it asks of the site's power; None where it asks for nothing: over, not accepted, or a dry run."""
    order, watts = followed.order, followed.binds_w
    if not followed.is_live or not order.moves_power:
        return None
    ends_at = order.ends_at and max(order.ends_at, order.restore_not_before or order.ends_at)
    shed_w = -watts if order.direction is Direction.LOAD_INCREASE else watts
    return Commitment(order.order_id, order.starts_at, ends_at, shed_w, order.limit_at(watts), order.max_ramp_w_per_min)


def accepted(followed: Followed, watts: int) -> Followed:
    """The log has the acceptance of so much."""
    return followed.so(stage=Stage.ACCEPTED, binds_w=watts, told_w=watts)


def heard(followed: Followed | None, order: DispatchOrder, accepted_w: int | None = None) -> Followed:
    """An order as the grid tells it now: another end, less power, or over. `accepted_w`: what the log says of that.

    What the site has found to be less stays less: it is told again.
    """
    before = followed or Followed(order=order)
    if order.state in ORDER_OVER:
        ended = before.so(order=order)
        return ended.at_its_end() if order.state is OrderState.COMPLETED else ended.so(stage=Stage.OVER)
    binding = accepted_w
    if binding is None and order.state in (OrderState.ACCEPTED, OrderState.ACTIVE, OrderState.SUSTAINING):
        binding = min(order.power_w, before.told_w or order.power_w)
    if binding is None:
        return before.so(order=order)
    if before.stage is Stage.RECEIVED:
        before = accepted(before, binding)
    return before.so(order=order, told_w=binding, binds_w=min(before.binds_w, binding))


def shares(short_w: int, followed: Iterable[Followed], now: datetime) -> dict[str, int]:
    """What each running order still has when so much of the whole is missing: the one that began last lacks it first.

    Positive: less is shed than was asked, which orders to shed lack; negative: less is drawn, which those to draw lack.
    """
    running = [each for each in followed if each.runs(now)]
    running.sort(key=lambda each: (each.order.starts_at, each.order.order_id), reverse=True)
    left: dict[str, int] = {}
    for each in running:
        is_up = each.order.direction is Direction.LOAD_INCREASE
        missing = min(each.binds_w, max(0, -short_w if is_up else short_w))
        short_w += missing if is_up else -missing
        left[each.order.order_id] = each.binds_w - missing
    return left


def judged(
    followed: Followed,
    now: datetime,
    *,
    applied_w: int,
    metered_w: int | None,
    patience: Patience,
    lacks: str = ACTUATOR,
) -> Followed:
    """Where a running order stands by what was read: its part at the actuator, and at the meter where that tells.

    Less than it binds to is given time; after that it binds to what there is, and never to more again: what was told
    to be unavailable is ordered elsewhere. `lacks`: why an actuator holds less.
    """
    order = followed.order
    if followed.stage is not Stage.RECEIVED and order.ends_at is not None and now >= order.ends_at:
        return followed if followed.stage is Stage.OVER else followed.at_its_end()
    if not followed.runs(now):
        return followed
    if not order.moves_power:  # a dry run is answered like any other, and moves nothing
        return followed.so(stage=Stage.VERIFIED)
    if applied_w < followed.binds_w:
        since = followed.short_since or now
        if now - since < timedelta(seconds=patience.apply_s):
            return followed.so(short_since=since)
        return _less(followed, applied_w, lacks)
    if followed.stage is Stage.ACCEPTED:
        return followed.so(stage=Stage.APPLIED, short_since=None, unseen_since=now)
    followed = followed.so(short_since=None)
    if metered_w is None:
        return followed
    if metered_w >= followed.binds_w * (1 - patience.tolerance):
        return followed.so(stage=Stage.VERIFIED, unseen_since=None)
    since = followed.unseen_since or now
    if now - since < timedelta(seconds=patience.verify_s):
        return followed.so(unseen_since=since)
    return _less(followed, metered_w, METER)


def _less(followed: Followed, available_w: int, code: str) -> Followed:
    stage = followed.stage if available_w else Stage.FAILED
    return followed.so(stage=stage, binds_w=available_w, reason_code=code, short_since=None, unseen_since=None)


def due(followed: Followed) -> Due | None:
    """What the log has to be told of it next."""
    if followed.binds_w < followed.told_w and followed.stage not in (Stage.RESTORING, Stage.OVER):
        reason = f"{power(followed.binds_w)} of {power(followed.told_w)} is possible"
        return Due("UNAVAILABLE", followed.binds_w, followed.reason_code, reason)
    reached: Sequence[Report] = _REACHED.get(followed.stage, ())
    if followed.told_w == 0 or followed.order.state in ORDER_OVER:
        return None
    return next((Due(report) for report in reached if report not in followed.said), None)


_REACHED: Mapping[Stage, Sequence[Report]] = {
    Stage.APPLIED: ("STARTED",),
    Stage.VERIFIED: ("STARTED", "SUSTAINING"),
    Stage.RESTORING: ("COMPLETED",),
    Stage.OVER: ("COMPLETED",),
}


def told(followed: Followed, report: Due) -> Followed:
    """The log has this report."""
    if report.report == "UNAVAILABLE":
        return followed.so(told_w=report.available_w or 0)
    return followed.so(said=(*followed.said, report.report))
