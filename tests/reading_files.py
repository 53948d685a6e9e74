"""Files of readings as `gridsignal baseline study` reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")


def working_days_before(day: date, many: int) -> list[date]:
    """Mondays to Fridays, newest first."""
    found: list[date] = []
    while len(found) < many:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            found.append(day)
    return found


def hours(day: date, powers_w: Mapping[int, object], zone: ZoneInfo = BERLIN) -> Iterator[str]:
    """Lines of a CSV: the mean power of hours of the local clock."""
    for hour, power_w in powers_w.items():
        starts_at = datetime.combine(day, time(hour), zone)
        ends_at = (starts_at.astimezone(ZoneInfo("UTC")) + timedelta(hours=1)).astimezone(zone)
        yield f"{starts_at.isoformat()},{ends_at.isoformat()},{power_w}"


def csv_of(lines: Iterable[str], head: str = "starts_at,ends_at,import_w") -> str:
    return "\n".join([head, *lines, ""])


def ten_days(day: date, today_w: tuple[int, int, int]) -> str:
    """Ten working days before a day with an event at 17:00, and the hours from 13:00 to 16:00 of all eleven."""
    event_w = (100, 104, 98, 110, 102, 96, 108, 106, 94, 112)
    window_w = (92, 97, 90, 102, 95, 89, 100, 98, 87, 104)
    lines = [*hours(day, dict(zip((13, 14, 15), today_w, strict=True)))]
    for each, power_w, before_w in zip(working_days_before(day, 10), event_w, window_w, strict=True):
        lines += hours(each, {13: before_w - 1, 14: before_w, 15: before_w + 1, 17: power_w})
    return csv_of(lines)


def a_month_of_hours(until: date) -> str:
    """Every hour of the thirty days before a day, and of the day itself."""
    days = [until - timedelta(days=back) for back in range(30, -1, -1)]
    return csv_of(line for day in days for line in hours(day, {hour: 10**6 * (20 + hour % 7) for hour in range(24)}))


def an_hour_of_regulation() -> str:
    """An hour and five minutes of a signal of 5 MW and a response that is ten seconds late, as a CSV."""
    signal_mw = [5 * math.sin(place / 11.3) for place in range(392)]
    lines = [f"{10 * place},{signal_mw[place + 1]:.6f},{signal_mw[place]:.6f}" for place in range(391)]
    return csv_of(lines, "seconds,expected_reg_mw,response_mw")


def days_of_a_series() -> str:
    """Five days of hourly prices and carbon in June, as a study reads them."""
    lines = ["zone,start_utc,price,currency_per_mwh,ci_lca_g_per_kwh"]
    for hour in range(5 * 24):
        at = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(hours=hour)
        price = 80 + 40 * math.sin(at.hour / 24 * 4 * math.pi)
        lines.append(f"DE-LU,{at:%Y-%m-%dT%H}:00:00Z,{price:.2f},EUR,{300 + price:.1f}")
    return "\n".join(lines) + "\n"
