"""Groups: who sees the same bytes, who joins and leaves when, who comes first."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from gridsignal_protocol.server.subscription import Want
from gridsignal_schemas.frames import Filter
from gridsignal_schemas.messages import Record
from gridsignal_schemas.records import identity_of
from gridsignal_services.access import SIGNAL_READ, Audience, Entitlements, Principal
from gridsignal_services.bus import LogRecord
from gridsignal_services.gateway.groupkey import GroupKey, group_key
from gridsignal_services.gateway.history import StreamEntry
from gridsignal_services.gateway.hub import Batch, Group, Hub
from tests.builders import a_carbon_intensity, a_dispatch_order, a_dispatch_request, a_spot_price

offsets = itertools.count()


class Reader:
    """A member that only notes what it gets."""

    def __init__(self, name: str = "", order: list[str] | None = None) -> None:
        self.name, self.order = name, order if order is not None else []
        self.got: list[bytes] = []
        self.is_last: list[bool] = []

    def accept(self, batch: Batch) -> None:
        self.order.append(self.name)
        self.got.append(batch.chunk)
        self.is_last.append(False)

    def accept_last(self, batch: Batch) -> None:
        self.accept(batch)
        self.is_last[-1] = True


def who(organisation: str = "acme-ai", role: Any = "participant") -> Principal:
    return Principal(role, organisation, "tests", frozenset({SIGNAL_READ}), datetime(2030, 1, 1, tzinfo=UTC))


def a_key(
    stream: str = "prices",
    principal: Principal | None = None,
    zones: frozenset[str] = frozenset({"DE-LU"}),
    sites: frozenset[str] = frozenset(),
    mode: Any = "every",
    **wanted: Any,
) -> GroupKey:
    return group_key(Want.of(stream, Filter(**wanted), mode), "json", principal or who(), Entitlements(zones, sites))


def an_entry(record: Record, audience: Audience | None = None) -> StreamEntry:
    zone = getattr(record, "zone", "")
    logged = LogRecord("prices", 0, next(offsets), zone, b"\0\0\0\0\1avro", 0)
    return StreamEntry(logged, record, audience or Audience(zone=zone))


def a_hub(**limits: Any) -> Hub:
    return Hub(b"secret", **limits)


def joined(hub: Hub, key: GroupKey, *members: Reader) -> Group:
    group = hub.reserve(key)
    for member in members:
        hub.attach(group, member)
    hub.release(group)
    return group


def test_those_with_the_same_zones_share_a_group_whoever_they_are() -> None:
    assert a_key(principal=who("acme-ai")) == a_key(principal=who("volt-colo"))
    assert a_key(zones=frozenset({"FR"})) != a_key()
    assert a_key(mode="latest") != a_key()
    assert a_key(products=["B", "A"]) == a_key(products=["A", "B"])


def test_filters_of_other_streams_do_not_split_groups() -> None:
    assert a_key(accounting=["AVERAGE"]) == a_key()
    assert a_key("carbon", accounting=["AVERAGE"]) != a_key("carbon")


def test_on_dispatch_every_organisation_and_site_is_a_class_of_its_own() -> None:
    one = a_key("dispatch", who("acme-ai"), sites=frozenset({"fra-1"}))
    assert one != a_key("dispatch", who("volt-colo"), sites=frozenset({"fra-1"}))
    assert one != a_key("dispatch", who("acme-ai"), sites=frozenset({"fra-2"}))


def test_bytes_are_built_once_for_all_members() -> None:
    hub, one, two = a_hub(), Reader(), Reader()
    joined(hub, a_key(), one, two)
    hub.publish("prices", an_entry(a_spot_price()), lambda: "c1", 0.0)
    hub.publish("prices", an_entry(a_spot_price(revision=2)), lambda: "c2", 0.0)
    assert sum(hub.flush()) == 4
    assert len(one.got) == 1
    assert one.got[0] is two.got[0]
    assert one.got[0].index(b'"cursor":"c1"') < one.got[0].index(b'"cursor":"c2"')


def test_filter_and_visibility_decide_together() -> None:
    carbon = an_entry(a_carbon_intensity())
    assert a_key("carbon").wants(carbon)
    assert not a_key("carbon", accounting=["MARGINAL"]).wants(carbon)
    assert not a_key("carbon", zones=frozenset({"FR"})).wants(carbon)
    assert a_key(zones=frozenset({"DE-LU", "FR"})).wants(an_entry(a_spot_price(zone="FR")))
    assert not a_key(zones=frozenset({"DE-LU", "FR"}), products=None).wants(an_entry(a_spot_price(zone="GB")))


def test_a_zone_filter_never_hides_what_is_addressed_to_ones_own_site() -> None:
    order = an_entry(a_dispatch_order(), Audience(sites=frozenset({"fra-1"})))
    both = frozenset({"DE-LU", "FR"})
    mine = group_key(
        Want.of("dispatch", Filter(zones=["FR"]), "every"), "json", who(), Entitlements(both, frozenset({"fra-1"}))
    )
    assert mine.wants(order)
    assert not mine.wants(an_entry(a_dispatch_request()))
    theirs = a_key("dispatch", who("volt-colo"), zones=both, sites=frozenset({"muc-1"}))
    assert not theirs.wants(order)
    assert theirs.wants(an_entry(a_dispatch_request()))


def test_nobody_is_addressed_by_an_empty_audience() -> None:
    for role in ("participant", "operator", "service"):
        assert not a_key("dispatch", who("tso-north", role)).wants(an_entry(a_dispatch_request(), Audience()))


def test_who_joins_within_a_tick_gets_nothing_from_before() -> None:
    hub, early, late = a_hub(), Reader(), Reader()
    group = joined(hub, a_key(), early)
    hub.publish("prices", an_entry(a_spot_price()), lambda: "c1", 0.0)
    hub.attach(group, late)
    hub.publish("prices", an_entry(a_spot_price(revision=2)), lambda: "c2", 0.0)
    sum(hub.flush())
    assert [len(reader.got) for reader in (early, late)] == [2, 1]
    assert b'"cursor":"c2"' in late.got[0]


def test_who_leaves_within_a_tick_gets_nothing_more() -> None:
    hub, reader = a_hub(), Reader()
    group = joined(hub, a_key(), reader)
    hub.publish("prices", an_entry(a_spot_price()), lambda: "c1", 0.0)
    hub.detach(group, reader)
    assert sum(hub.flush()) == 0
    assert reader.got == []
    assert hub.groups("prices") == []


def test_a_reserved_group_stays_until_it_is_released() -> None:
    hub = a_hub()
    group = hub.reserve(a_key())
    assert hub.reserve(a_key()) is group
    hub.release(group)
    assert hub.groups("prices") == [group]
    hub.release(group)
    assert hub.groups("prices") == []


def test_another_member_is_first_in_every_tick() -> None:
    order: list[str] = []
    hub = a_hub()
    joined(hub, a_key(), *(Reader(name, order) for name in "abc"))
    for revision in range(1, 4):
        hub.publish("prices", an_entry(a_spot_price(revision=revision)), lambda: "c", 0.0)
        sum(hub.flush())
    assert sorted(order[::3]) == ["a", "b", "c"]
    assert sorted(order) == ["a", "a", "a", "b", "b", "b", "c", "c", "c"]


def test_silence_is_broken_by_a_position_in_time() -> None:
    hub, reader = a_hub(), Reader()
    joined(hub, a_key(zones=frozenset({"FR"})), reader)
    hub.publish("prices", an_entry(a_spot_price()), lambda: "c1", 0.0)
    assert not hub.beat("prices", hub.groups("prices"), lambda: "c1", 7.9, 8.0)
    assert hub.beat("prices", hub.groups("prices"), lambda: "c1", 8.0, 8.0)
    sum(hub.flush())
    assert b'"position"' in reader.got[0]
    assert not hub.beat("prices", hub.groups("prices"), lambda: "c1", 15.9, 8.0)


def test_a_position_comes_early_when_much_has_passed_unseen() -> None:
    hub, reader = a_hub(position_every=3), Reader()
    joined(hub, a_key(zones=frozenset({"FR"})), reader)
    told = []
    for _ in range(3):
        hub.publish("prices", an_entry(a_spot_price()), lambda: "c", 0.0)
        told.append(hub.beat("prices", hub.groups("prices"), lambda: "c", 0.0, 8.0))
    assert told == [False, False, True]


def test_only_the_latest_mode_names_a_series() -> None:
    hub = a_hub()
    entry = an_entry(a_spot_price())
    assert hub.reserve(a_key(mode="latest")).signal(entry, "c").series == identity_of(a_spot_price())
    assert hub.reserve(a_key()).signal(entry, "c").series is None
    assert hub.reserve(a_key(mode="latest")).signal(entry, None).series is None


def test_a_subscription_has_the_same_name_whether_or_not_others_have_it_too() -> None:
    alone, beside = a_hub(), a_hub()
    key = a_key()
    beside.attach(beside.reserve(key), Reader())
    assert alone.reserve(key).sub == beside.reserve(key).sub
    group = alone.reserve(key)
    for _ in range(2):
        alone.release(group)
    again = alone.reserve(key)
    assert again is not group
    assert again.sub == group.sub
    assert Hub(b"another process").reserve(key).sub != group.sub


def test_different_filters_have_different_names() -> None:
    hub = a_hub()
    keys = [
        a_key(),
        a_key("carbon"),
        a_key(mode="latest"),
        a_key(zones=frozenset({"DE-LU", "FR"})),
        a_key("dispatch"),
        a_key("dispatch", who("volt-colo")),
        a_key("dispatch", sites=frozenset({"fra-1"})),
    ]
    assert len({hub.reserve(key).sub for key in keys}) == len(keys)


def test_what_others_do_on_dispatch_changes_the_time_of_nothing() -> None:
    hub, reader = a_hub(position_every=3), Reader()
    hub.attach(hub.reserve(a_key("dispatch")), reader)
    for _ in range(10):
        hub.publish("dispatch", an_entry(a_dispatch_order(), Audience()), lambda: "c", 1.0)
    sum(hub.flush())
    assert reader.got == []
