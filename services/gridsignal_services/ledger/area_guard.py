"""What the areas of a zone still allow beside all live and tentative orders of all requests.

Of an area four things are held against its limits, each a step function that is never below what can happen: how fast
its load may fall and rise at each moment, how much of either can fall into any window, and how much it may draw. What
falls is not set off against what rises: nobody promises that the other comes at the same moment.

A pure function of the book. It is asked by the clearing, by whoever changes an order, and by what reserves an increase
for work that moves here from another zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import NamedTuple

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import AreaRegistration
from gridsignal_schemas.rules.baselines import NEVER_LOGGED, stretches
from gridsignal_schemas.rules.faults import fault
from gridsignal_schemas.rules.profile import Block, Profile
from gridsignal_services.ledger.book import Book
from gridsignal_services.ledger.swings import Move, Swing

DIRECTIONS = {False: "max_ramp_down_w_per_min", True: "max_ramp_up_w_per_min"}
"""The limit on how fast the load may fall and rise."""


class Cut(NamedTuple):
    """Which limit of which area is in the way."""

    code: str
    area: str
    limit: str
    """Its field in AreaRegistration."""
    until: datetime | None = None
    """What is in the way is so no longer; None: another time changes nothing."""
    is_up: bool | None = None
    """Whether it is about a rise of the load; None where it is about what is drawn."""
    most: int | None = None
    """Of a ramp that is too fast, how fast it may be, in watts per minute."""

    def detail(self, pointer: str) -> Detail:
        """The same for the operator who asked; when others move is not said."""
        return fault(self.code, pointer, f"expected what area {self.area} allows by {self.limit}")


class Committed:
    """One area's curves: what its sites' orders come to."""

    def __init__(self, area: AreaRegistration, swings: Sequence[Swing]) -> None:
        self.area = area
        moves = [self._together(swing, is_up=is_up) for is_up in (False, True) for swing in swings]
        each = [move for some in moves for move in some]
        self.ramps = {up: Profile(_ramp(move) for move in each if move.is_up is up) for up in (False, True)}
        self.changes = {up: Profile(self._change(move) for move in each if move.is_up is up) for up in (False, True)}
        self.draws = Profile(chain.from_iterable(swing.draws for swing in swings))

    def take(self, swing: Swing) -> None:
        """Counts one more."""
        for is_up in (False, True):
            for move in self._together(swing, is_up=is_up):
                self.ramps[is_up].add(_ramp(move))
                self.changes[is_up].add(self._change(move))
        for block in swing.draws:
            self.draws.add(block)

    def ramp_cut(self, swing: Swing) -> Cut | None:
        """The limit on changes that one more order would break; None where it would break none."""
        return next(chain.from_iterable(self._cuts(swing, is_up) for is_up in (False, True)), None)

    def _cuts(self, swing: Swing, is_up: bool) -> Iterator[Cut]:
        name, most_w = DIRECTIONS[is_up], self.area.max_change_w
        rate = getattr(self.area, name)
        for move in self._together(swing, is_up=is_up):
            if rate is not None:
                yield from self._cut(self.ramps[is_up], _ramp(move), rate, name, is_up)
            if most_w is not None:
                yield from self._cut(self.changes[is_up], self._change(move), most_w, "max_change_w", is_up)

    def _cut(self, held: Profile, block: Block, most: int, limit: str, is_up: bool) -> Iterator[Cut]:
        if block.power_w > most:
            yield Cut("AREA_RAMP", self.area.area, limit, None, is_up)
        elif (until := held.last_above(block.starts_at, block.ends_at, most - block.power_w)) is not None:
            yield Cut("AREA_RAMP", self.area.area, limit, until, is_up)

    def _together(self, swing: Swing, *, is_up: bool) -> list[Move]:
        """Its moves in one direction; those of one window are one, for a site never moves faster than its ramp."""
        found: list[Move] = []
        window = self._window
        for move in sorted(move for move in swing.moves if move.is_up is is_up and move.change_w):
            if found and move.since < found[-1].until + window:
                last = found.pop()
                rate = max(last.rate_w_per_min, move.rate_w_per_min)
                until = max(last.until, move.until)
                move = Move(last.since, until, last.change_w + move.change_w, rate, is_up)
            found.append(move)
        return found

    @property
    def _window(self) -> timedelta:
        return timedelta(seconds=self.area.window_s or 0)

    def _change(self, move: Move) -> Block:
        """From when until when a window that ends there can hold it, and how much of it."""
        return Block(move.since, move.until + self._window, move.within_w(self.area.window_s or 1))


def _ramp(move: Move) -> Block:
    return Block(move.since, move.until, move.rate_w_per_min)


class AreaGuard:
    """What is committed in the areas of a book, and what still fits; what is taken is counted from then on."""

    def __init__(self, book: Book, *, is_dry: bool = False, without: str | None = None) -> None:
        """`is_dry`: for a rehearsal, which counts rehearsals, too. `without`: an order that is to be another."""
        self._book, self._is_dry, self._without = book, is_dry, without
        self._committed: dict[tuple[str, str], Committed] = {}
        self._loads: dict[tuple[tuple[str, str], datetime, datetime], int] = {}

    def concerns(self, site: str) -> bool:
        """Whether the site is in an area at all."""
        return site in self._book.areas_of_site

    def committed(self, key: tuple[str, str]) -> Committed:
        """An area's curves, by its zone and name. Raises KeyError for one that the book doesn't hold."""
        if key not in self._committed:
            area = self._book.areas[key]
            self._committed[key] = Committed(area, list(self._swings(area.sites)))
        return self._committed[key]

    def slowest(self, site: str, change_w: int) -> Cut | None:
        """The limit by which a change of the site's power has to be slowed down most; None: any ramp may do."""
        cuts = list[Cut]()
        for area in self._areas(site):
            for is_up, name in DIRECTIONS.items():
                if (rate := getattr(area, name)) is not None:
                    cuts.append(Cut("AREA_RAMP", area.area, name, None, is_up, rate))
            if area.max_change_w is not None and area.window_s is not None and change_w > area.max_change_w:
                rate = area.max_change_w * 60 // area.window_s
                cuts.append(Cut("AREA_RAMP", area.area, "max_change_w", None, None, rate))
        return min(cuts, key=lambda cut: cut.most or 0, default=None)

    def cut(self, site: str, swing: Swing) -> Cut | None:
        """The limit that one more order of the site would break; None where it would break none."""
        keys = self._book.areas_of_site.get(site, {})
        for key in keys:
            if (cut := self.committed(key).ramp_cut(swing)) is not None:
                return cut
        for key in keys:
            if any(self._draws_too_much(key, block) for block in swing.draws):
                return Cut("AREA_LIMIT", key[1], "max_import_w")
        return None

    def take(self, site: str, swing: Swing) -> None:
        """Counts one more order of the site."""
        for key in self._book.areas_of_site.get(site, {}):
            self.committed(key).take(swing)

    def _draws_too_much(self, key: tuple[str, str], block: Block) -> bool:
        most_w = self._book.areas[key].max_import_w
        if most_w is None or block.starts_at >= block.ends_at:
            return False
        drawn_w = self.committed(key).draws.highest(block.starts_at, block.ends_at)
        return self.load_w(key, block.starts_at, block.ends_at) + drawn_w + block.power_w > most_w

    def load_w(self, key: tuple[str, str], starts_at: datetime, ends_at: datetime) -> int:
        """The most that an area's sites draw by themselves at any moment of a period, by their newest declarations.

        A site that has declared nothing for all of it counts with its connection.
        """
        at = key, starts_at, ends_at
        if at not in self._loads:
            self._loads[at] = sum(self._peak_w(site, starts_at, ends_at) for site in self._book.areas[key].sites)
        return self._loads[at]

    def _peak_w(self, site: str, starts_at: datetime, ends_at: datetime) -> int:
        found = stretches(self._book.declared.get(site, ()), starts_at, ends_at, NEVER_LOGGED)
        if found is None:
            return self._book.sites[site].capacity_w if site in self._book.sites else 0
        return max((each.declared.highest_w(each.starts_at, each.ends_at) for each in found), default=0)

    def _areas(self, site: str) -> list[AreaRegistration]:
        return [self._book.areas[key] for key in self._book.areas_of_site.get(site, {})]

    def _swings(self, sites: Sequence[str]) -> Iterator[Swing]:
        for site in sites:
            for name, swing in self._book.swings.get(site, {}).items():
                if name != self._without and (self._is_dry or not swing.is_dry):
                    yield swing
