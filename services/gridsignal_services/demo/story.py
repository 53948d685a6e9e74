"""The two days' stories: who asks for what and when, and what goes wrong at the sites. Times are market time.

Prices and carbon of these days are real; requests, sites and mishaps are synthetic, and made so that each turn of the
loop is seen once a day, and each day at other sites: an order refused, one unanswered, one accepted in part, one
delivered in part.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gridsignal_schemas.values import MW, rfc3339

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


Span = tuple[int, int]
"""From a minute of the market day to another."""
NEVER: Span = (0, 0)


@dataclass(frozen=True, slots=True)
class Mishaps:
    """What a site's planner learns too late for its offer, or its operator never learns before the meter is read."""

    job_gone_min: int | None = None
    """Training: a user takes a job back, one level less than was offered."""
    urgent: Span = NEVER
    """Training: an urgent run takes the machines; orders from its start on that begin within it are refused."""
    job_back: Span = NEVER
    """Training: a paused job resumes by itself for so long, while an order runs."""
    blind_site: str = ""
    blind: Span = NEVER
    """The site's control room is out of reach: orders are not answered."""
    warm: Span = NEVER
    """Batteries: the cells are too warm, orders are refused."""
    cooling: Span = NEVER
    """Batteries: half of the strings still cool down, half of the power is accepted."""
    trip_min: int | None = None
    """Batteries: a string trips, half of the power is left for the order under way."""


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
    def turns(self) -> list[tuple[int, str]]:
        """What the day waits for next, by minute: requests, gates, periods."""
        found: list[tuple[int, str]] = []
        for ask in self.asks:
            found.append((ask.asked_min, f"{ask.operator} asks"))
            found.append((ask.gate_min, f"the gate of {ask.name} closes"))
            found.append((ask.starts_min, f"{ask.name} begins"))
            found.append((ask.ends_min, f"{ask.name} ends"))
        return sorted(found)

    @property
    def shortest_deadline_s(self) -> int:
        """The shortest deadline of the day, in grid seconds."""
        return min(ask.shortest_deadline_s for ask in self.asks)


def _text(when: datetime) -> str:
    return rfc3339(when.astimezone(UTC))


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
        urgent=(_clock(16), _clock(20)),
        blind_site="muc-1",
        blind=(_clock(19, 45), _clock(20, 20)),
        trip_min=_clock(18, 45),
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
            text="Prices climb: take 8 MW less.",
            purpose="PORTFOLIO",
            direction="LOAD_DECREASE",
            power_w=8 * MW,
            asked_min=_clock(11),
            gate_min=_clock(13),
            starts_min=_clock(14, 30),
            ends_min=_clock(15, 30),
            respond_s=900,
            activation_s=900,
            cap="750",
            deficiency="650",
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
            cap="1100",
            deficiency="950",
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
            cap="900",
            deficiency="800",
        ),
    ),
    mishaps=Mishaps(
        warm=(_clock(12), _clock(13, 30)),
        cooling=(_clock(13, 30), _clock(15)),
        job_back=(_clock(17), _clock(17, 45)),
        blind_site="ber-1",
        blind=(_clock(18), _clock(18, 14)),
    ),
    work_from_min=_clock(15, 30),
    battery_starts_full=True,
)

STORIES = {story.day: story for story in (SUNNY, DARK)}
