"""Who gets a record: exactly those who want it, in pieces, each in order, whoever comes and goes meanwhile."""

from __future__ import annotations

import itertools
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_protocol.server.subscription import Want
from gridsignal_schemas.frames import Filter
from gridsignal_services.access import Audience, Entitlements
from gridsignal_services.gateway.groupkey import GroupKey, group_key
from gridsignal_services.gateway.hub import Group, Hub
from tests.builders import a_spot_price
from tests.unit.gateway.test_hub import Reader, a_hub, a_key, an_entry, joined, who


def a_full_group(hub: Hub, key: GroupKey) -> tuple[Group, list[Reader]]:
    readers = [Reader() for _ in range(200)]
    return joined(hub, key, *readers), readers


def test_handing_out_goes_on_in_pieces_and_keeps_the_order_of_each() -> None:
    hub = a_hub()
    group, readers = a_full_group(hub, a_key())
    revisions = itertools.count(1)

    def publish() -> None:
        revision = next(revisions)
        hub.publish("prices", an_entry(a_spot_price(revision=revision)), lambda: f"c{revision}", 0.0)

    publish()
    flush = hub.flush()
    assert next(flush) < len(readers)
    assert sum(len(reader.got) for reader in readers) < len(readers)
    publish()  # while the first is on its way
    newcomer = Reader()
    hub.attach(group, newcomer)
    publish()
    sum(flush)
    sum(hub.flush())
    assert {b"".join(reader.got).count(b'"cursor"') for reader in readers} == {3}
    for reader in readers:
        cursors = re.findall(rb'"cursor":"(c\d)"', b"".join(reader.got))
        assert cursors == [b"c1", b"c2", b"c3"]
    assert re.findall(rb'"cursor":"(c\d)"', b"".join(newcomer.got)) == [b"c3"]


def test_who_leaves_and_comes_back_while_it_is_handed_out_gets_nothing_from_before() -> None:
    hub = a_hub()
    group, readers = a_full_group(hub, a_key())
    hub.publish("prices", an_entry(a_spot_price()), lambda: "c1", 0.0)
    flush = hub.flush()
    next(flush)
    waiting = [reader for reader in readers if not reader.got]
    gone, back = waiting[0], waiting[1]
    for reader in (gone, back):
        hub.detach(group, reader)
    hub.attach(group, back)
    sum(flush)
    assert (gone.got, back.got) == ([], [])
    assert all(len(reader.got) == 1 for reader in readers if reader not in (gone, back))


@given(
    st.lists(st.frozensets(st.integers(0, 9), min_size=1), min_size=1, max_size=4),
    st.lists(st.one_of(st.integers(0, 3), st.none(), st.tuples(st.integers(0, 3), st.integers(0, 9))), max_size=12),
)
def test_only_the_last_of_a_flush_is_said_to_be_it_and_one_group_alone_always_is(
    groups: list[frozenset[int]], acts: list[int | tuple[int, int] | None]
) -> None:
    """An act is a record for a group, a flush, or somebody who joins a group."""
    hub, readers, revisions = a_hub(), [Reader() for _ in range(10)], itertools.count(1)
    zones = [f"Z{number}" for number in range(len(groups))]
    keys = [a_key(zones=frozenset({zone})) for zone in zones]
    made = [joined(hub, key, *(readers[name] for name in names)) for key, names in zip(keys, groups, strict=True)]
    dirty = set[int]()
    for act in [*acts, None]:
        match act:
            case int():
                number = act % len(groups)
                record = a_spot_price(zone=zones[number], revision=next(revisions))
                hub.publish("prices", an_entry(record), lambda: "c", 0.0)
                dirty.add(number)
            case (number, name) if readers[name] not in made[number % len(groups)].members:
                hub.attach(made[number % len(groups)], readers[name])
            case None:
                sum(hub.flush())
                for reader in readers:
                    assert not any(reader.is_last[:-1]), "something came behind what was said to be the last"
                    assert len(dirty) > 1 or not reader.is_last or reader.is_last[-1]
                    reader.is_last.clear()
                dirty.clear()


@pytest.mark.parametrize("seed", range(20))
def test_a_record_is_found_by_exactly_those_who_want_it(seed: int) -> None:
    chosen = random.Random(seed)

    def some(names: str) -> frozenset[str]:
        return frozenset(name for name in names.split() if chosen.random() < 0.4)

    zones, sites, names = "DE-LU FR GB", "fra-1 fra-2 muc-1", "acme-ai volt-colo tso-north"
    hub = a_hub()
    for _ in range(40):
        principal = who(chosen.choice(names.split()), chosen.choice(["participant", "operator", "service"]))
        wanted = sorted(some(zones)) or None
        entitled = Entitlements(some(zones), some(sites), past_sites=chosen.random() < 0.5)
        stream = chosen.choice(["prices", "dispatch"])
        key = group_key(Want.of(stream, Filter(zones=wanted), "every"), "json", principal, entitled)
        hub.attach(hub.reserve(key), Reader())
    for _ in range(40):
        stream, zone = chosen.choice(["prices", "dispatch"]), chosen.choice(zones.split())
        seen_by = Audience(chosen.choice([zone, None]), some(names), some(sites), some(names))
        entry = an_entry(a_spot_price(zone=zone), seen_by)
        found = hub.publish(stream, entry, lambda: "c", 0.0)
        assert len(found) == len(set(found))
        assert set(found) == {group for group in hub.groups(stream) if group.key.wants(entry)}


def test_a_group_that_is_forgotten_leaves_nothing_behind() -> None:
    hub, reader = a_hub(), Reader()
    keys = [a_key(), a_key("dispatch", sites=frozenset({"fra-1"})), a_key(zones=frozenset({"DE-LU", "FR"}))]
    for group in [joined(hub, key, reader) for key in keys]:
        hub.detach(group, reader)
    assert not hub._named


def test_a_burst_to_one_group_is_rendered_a_little_at_a_time_and_handed_out_as_one_batch() -> None:
    hub, reader = a_hub(), Reader()
    joined(hub, a_key(), reader)
    cursors = iter(f"c{revision}" for revision in range(1, 501))
    for revision in range(1, 501):
        hub.publish("prices", an_entry(a_spot_price(revision=revision)), lambda: next(cursors), 0.0)
    flush = hub.flush()
    before_it = list(itertools.takewhile(lambda handed: handed == 0, flush))
    (batch,) = reader.got
    assert len(batch) / (len(before_it) + 1) < 20_000  # bytes rendered from one piece to the next
    assert re.findall(rb'"cursor":"c(\d+)"', batch) == [b"%d" % revision for revision in range(1, 501)]
    assert sum(flush) == 0
