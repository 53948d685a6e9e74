"""Whatever is asked, offered, cleared, refused and released: no area leaves its limits by what sites are told."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant

from gridsignal_schemas.messages import AreaRegistration, OrderState
from gridsignal_schemas.rules.profile import Profile
from gridsignal_schemas.values import MW
from gridsignal_services.ledger.area_guard import DIRECTIONS, Committed
from gridsignal_services.ledger.swings import Swing
from tests.builders import an_area_registration, utc
from tests.effort import examples
from tests.unit.ledger.days import an_offered_option, terms
from tests.unit.ledger.test_laws import Day
from tests.unit.ledger.watched import Watched

some = st.none() | st.integers(1, 30).map(MW.__mul__)
limits = st.fixed_dictionaries(
    {
        "max_ramp_down_w_per_min": some,
        "max_ramp_up_w_per_min": some,
        "max_change_w": st.integers(2, 30).map(MW.__mul__),
        "window_s": st.sampled_from([60, 300, 900]),
        "max_import_w": st.none() | st.integers(60, 160).map(MW.__mul__),
        "sites": st.sampled_from([["acme-1", "volt-1", "hyper-1"], ["acme-1", "volt-1"], ["hyper-1"]]),
    }
)


class DayInAreas(Day):
    """The same day, where the sites lie in areas."""

    @initialize(
        areas=st.lists(limits, min_size=1, max_size=2),
        baselines=st.lists(st.integers(14, 40), min_size=3, max_size=3),
        asked=st.lists(terms, min_size=2, max_size=2),
        offered=st.lists(st.none() | an_offered_option(), min_size=6, max_size=6),
        expires=st.lists(st.integers(59, 300), min_size=6, max_size=6),
    )
    def open(  # type: ignore[override]  # one more is drawn
        self, areas: list[Any], baselines: list[int], asked: list[Any], offered: list[Any], expires: list[int]
    ) -> None:
        class InAreas(Watched):
            def __init__(self) -> None:
                super().__init__()
                for at, fields in enumerate(areas):
                    assert self.add(an_area_registration(area=f"area-{at}", **fields)).accepted

        self.market_class = InAreas  # type: ignore[assignment]  # made for this day
        super().open(baselines, asked, offered, expires)

    @invariant()
    def no_area_leaves_its_limits(self) -> None:
        if not hasattr(self, "market"):
            return
        for area in self.market.ledger.book.areas.values():
            held = Committed(area, self._swings(area))
            for is_up, name in DIRECTIONS.items():
                limit = getattr(area, name)
                assert limit is None or highest(held.ramps[is_up]) <= limit
                assert area.max_change_w is None or highest(held.changes[is_up]) <= area.max_change_w

    def _swings(self, area: AreaRegistration) -> list[Swing]:
        book, found = self.market.ledger.book, list[Swing]()
        for site in area.sites:
            for order_id, swing in book.swings.get(site, {}).items():
                tracked = book.orders.get(order_id)
                told = tracked is not None and tracked.state is OrderState.CANCELLED
                found.append(swing if told else swing._replace(corrections=()))  # what a site does unasked is no order
        return [swing for swing in found if not swing.is_dry]

    def teardown(self) -> None:
        if hasattr(self, "market"):
            super().teardown()
            self.no_area_leaves_its_limits()


def highest(profile: Profile) -> int:
    return profile.highest(utc("2024-05-01T00:00"), utc("2034-05-30T00:00"))


DayInAreas.TestCase.settings = settings(
    max_examples=examples(25), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnyDayInAreas = DayInAreas.TestCase
