"""The two days' stories: who asks for what and when, and what goes wrong at the sites. Times are market time.

Prices and carbon of these days are real; requests, sites and mishaps are synthetic, and made so that each turn of the
loop is seen once: an order refused, one unanswered, one accepted in part, one delivered in part.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gridsignal_schemas.values import MW

ZONE = "DE-LU"
NEIGHBOUR = "FR"
MARKET = ZoneInfo("Europe/Berlin")
DESK, GRID_OPERATOR = "supplier-one", "tso-north"
BEFORE = timedelta(hours=11, minutes=15)
"""The clock starts at 12:45 on the day before, some minutes before the auction's results are out."""
AFTER = timedelta(minutes=20)
"""The last meter readings are in by then."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request; minutes count from midnight of the market day."""

    name: str
    operator: str
    text: str
    purpose: str
    direction: str
    power_w: int
    asked_min: int
    gate_min: int
    starts_min: int
    ends_min: int
    respond_s: int
    activation_s: int
    cap: str
    deficiency: str
    decide_s: int = 600

    def body(self, midnight: datetime) -> dict[str, Any]:
        """The request as the desk sends it."""
        gate = midnight + timedelta(minutes=self.gate_min)
        return {
            "zone": ZONE,
            "product": self.name,
            "purpose": self.purpose,
            "text": self.text,
            "direction": self.direction,
            "power_w": self.power_w,
            "min_quantity_w": MW,
            "price_cap_per_mwh": self.cap,
            "deficiency_price_per_mwh": self.deficiency,
            "currency": "EUR",
            "max_notice_s": self.activation_s,
            "full_activation_s": self.activation_s,
            "starts_at": _text(midnight + timedelta(minutes=self.starts_min)),
            "ends_at": _text(midnight + timedelta(minutes=self.ends_min)),
            "gate_closure_at": _text(gate),
            "decision_deadline": _text(gate + timedelta(seconds=self.decide_s)),
            "respond_within_s": self.respond_s,
        }

    @property
    def shortest_deadline_s(self) -> int:
        """The shortest time, in grid seconds, that anybody has for an answer."""
        return min((self.gate_min - self.asked_min) * 60, self.decide_s, self.respond_s)


@dataclass(frozen=True, slots=True)
class Mishaps:
    """What a site's planner learns too late for its offer."""

    job_gone_min: int
    """A user takes a job back: one level less than was offered (training)."""
    urgent_min: int
    """An urgent run takes the machines: orders from then on that start within `urgent_for_min` are refused."""
    urgent_for_min: int
    blind_from_min: int
    """The battery site's control room is out of reach: orders are not answered."""
    blind_to_min: int
    trip_min: int
    """A battery string trips: half the power is left for the order under way."""
    trip_to_min: int


@dataclass(frozen=True, slots=True)
class Story:
    """One day."""

    day: str
    asks: tuple[Ask, ...]
    mishaps: Mishaps
    work_from_min: int
    """When the jobs that only orders may move were submitted to run."""
    battery_starts_full: bool

    @property
    def midnight(self) -> datetime:
        """The start of the market day."""
        return datetime.fromisoformat(self.day).replace(tzinfo=MARKET)

    @property
    def shortest_deadline_s(self) -> int:
        """The shortest deadline of the day, in grid seconds."""
        return min(ask.shortest_deadline_s for ask in self.asks)


def _text(when: datetime) -> str:
    return when.astimezone(ZoneInfo("UTC")).isoformat().replace("+00:00", "Z")


def _clock(hour: int, minute: int = 0) -> int:
    return hour * 60 + minute


SUNNY = Story(
    day="2024-05-12",
    asks=(
        Ask(
            name="noon-surplus",
            operator=DESK,
            text="Negative prices at noon: take 20 MW more.",
            purpose="PORTFOLIO",
            direction="LOAD_INCREASE",
            power_w=20 * MW,
            asked_min=_clock(8),
            gate_min=_clock(10),
            starts_min=_clock(12),
            ends_min=_clock(15),
            respond_s=900,
            activation_s=900,
            cap="60",
            deficiency="40",
        ),
        Ask(
            name="evening-peak",
            operator=DESK,
            text="Short in the evening: take 14 MW less.",
            purpose="PORTFOLIO",
            direction="LOAD_DECREASE",
            power_w=14 * MW,
            asked_min=_clock(14),
            gate_min=_clock(16, 30),
            starts_min=_clock(18),
            ends_min=_clock(19, 30),
            respond_s=900,
            activation_s=900,
            cap="140",
            deficiency="110",
        ),
        Ask(
            name="line-overload",
            operator=GRID_OPERATOR,
            text="Emergency: a line is overloaded, take 8 MW less.",
            purpose="CONGESTION",
            direction="LOAD_DECREASE",
            power_w=8 * MW,
            asked_min=_clock(19, 40),
            gate_min=_clock(19, 50),
            starts_min=_clock(20, 30),
            ends_min=_clock(21, 15),
            respond_s=600,
            activation_s=600,
            cap="300",
            deficiency="250",
        ),
    ),
    mishaps=Mishaps(
        job_gone_min=_clock(9, 30),
        urgent_min=_clock(16),
        urgent_for_min=240,
        blind_from_min=_clock(19, 45),
        blind_to_min=_clock(20, 20),
        trip_min=_clock(18, 45),
        trip_to_min=_clock(20),
    ),
    work_from_min=_clock(20),
    battery_starts_full=False,
)

DARK = Story(
    day="2024-12-12",
    asks=(
        Ask(
            name="afternoon-peak",
            operator=DESK,
            text="Prices climb: take 14 MW less.",
            purpose="PORTFOLIO",
            direction="LOAD_DECREASE",
            power_w=14 * MW,
            asked_min=_clock(11),
            gate_min=_clock(13),
            starts_min=_clock(14, 30),
            ends_min=_clock(15, 30),
            respond_s=900,
            activation_s=900,
            cap="140",
            deficiency="110",
        ),
        Ask(
            name="evening-peak",
            operator=DESK,
            text="936 EUR/MWh at five: take 20 MW less.",
            purpose="PORTFOLIO",
            direction="LOAD_DECREASE",
            power_w=20 * MW,
            asked_min=_clock(12),
            gate_min=_clock(14),
            starts_min=_clock(16),
            ends_min=_clock(18),
            respond_s=900,
            activation_s=900,
            cap="240",
            deficiency="190",
        ),
        Ask(
            name="line-overload",
            operator=GRID_OPERATOR,
            text="Emergency: a line is overloaded, take 8 MW less.",
            purpose="CONGESTION",
            direction="LOAD_DECREASE",
            power_w=8 * MW,
            asked_min=_clock(17, 55),
            gate_min=_clock(18, 5),
            starts_min=_clock(18, 45),
            ends_min=_clock(19, 30),
            respond_s=600,
            activation_s=600,
            cap="400",
            deficiency="300",
        ),
    ),
    mishaps=Mishaps(
        job_gone_min=_clock(13, 30),
        urgent_min=_clock(12, 30),
        urgent_for_min=165,
        blind_from_min=_clock(18),
        blind_to_min=_clock(18, 35),
        trip_min=_clock(15),
        trip_to_min=_clock(15, 45),
    ),
    work_from_min=_clock(14),
    battery_starts_full=True,
)

STORIES = {story.day: story for story in (SUNNY, DARK)}
