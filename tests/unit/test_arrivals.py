"""Strangers at a door: laws over generated arrivals."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridsignal_services.arrivals import MAX_NETWORKS, ArrivalLimits, Arrivals, network_of

ADDRESSES = [f"192.0.2.{number}" for number in range(6)]
STEPS = st.lists(st.tuples(st.sampled_from(["arrive", "admit", "leave"]), st.integers(0, 60)), max_size=300)


class Model:
    """The same door, told by its rules instead of its tables."""

    def __init__(self, limits: ArrivalLimits) -> None:
        self.limits = limits
        self.strangers: list[tuple[int, str]] = []
        self.admitted: set[int] = set()

    def arrive(self, socket: int, address: str) -> set[int]:
        """Who may be dropped for it: empty where nobody is."""
        self.strangers.append((socket, address))
        crowds = Counter(network for _, network in self.strangers)
        if crowds[address] > self.limits.strangers_of_a_network:
            crowded = {address}
        elif len(self.strangers) > self.limits.strangers:
            crowded = {network for network, size in crowds.items() if size == max(crowds.values())}
        else:
            return set()
        return {next(known for known, network in self.strangers if network == each) for each in crowded}

    def forget(self, socket: int) -> None:
        self.strangers = [(known, network) for known, network in self.strangers if known != socket]


@given(STEPS, st.integers(1, 12), st.integers(1, 6), st.integers(0, 5))
def test_the_oldest_stranger_of_the_most_crowded_network_makes_room(
    steps: list[tuple[str, int]], strangers: int, of_a_network: int, authenticated: int
) -> None:
    limits = ArrivalLimits(strangers, of_a_network, authenticated)
    arrivals: Arrivals[int] = Arrivals(limits)
    model = Model(limits)
    for socket, (step, number) in enumerate(steps):
        known = min(socket, number)
        if step == "arrive":
            address = ADDRESSES[number % len(ADDRESSES)]
            may_go = model.arrive(socket, address)
            dropped = arrivals.arrive(socket, address)
            assert (dropped is None) == (not may_go)
            if dropped is not None:
                assert dropped in may_go
                assert dropped != socket
                model.forget(dropped)
        elif step == "admit":
            is_stranger = any(known == each for each, _ in model.strangers)
            has_room = len(model.admitted) < authenticated
            assert arrivals.admit(known) == (known in model.admitted or (is_stranger and has_room))
            if is_stranger and has_room:
                model.forget(known)
                model.admitted.add(known)
        else:
            arrivals.leave(known)
            model.forget(known)
            model.admitted.discard(known)
        assert arrivals.strangers == len(model.strangers) <= strangers
        assert arrivals.authenticated == len(model.admitted) <= authenticated


@given(st.integers(1, 40), st.lists(st.sampled_from(ADDRESSES), max_size=200))
def test_who_shows_a_token_before_a_whole_crowd_has_come_is_let_in(crowd: int, hostile: list[str]) -> None:
    arrivals: Arrivals[int] = Arrivals(ArrivalLimits(strangers=1000, strangers_of_a_network=crowd))
    for socket, address in enumerate(hostile):
        arrivals.arrive(socket, address)
    arrivals.arrive(-1, ADDRESSES[0])
    for socket in range(crowd - 1):
        assert arrivals.arrive(1000 + socket, ADDRESSES[0]) != -1
    assert arrivals.admit(-1)


def test_strangers_take_no_place_of_the_authenticated() -> None:
    arrivals: Arrivals[int] = Arrivals(ArrivalLimits(strangers=5, strangers_of_a_network=5, authenticated=3))
    for socket in range(100):
        arrivals.arrive(socket, ADDRESSES[socket % 3])
    for socket in (97, 98, 99):
        assert arrivals.admit(socket)
    assert not arrivals.admit(96)
    assert (arrivals.strangers, arrivals.authenticated) == (2, 3)


def test_a_machine_without_a_place_left_drops_a_stranger_of_the_largest_crowd() -> None:
    arrivals: Arrivals[str] = Arrivals(ArrivalLimits())
    assert arrivals.make_room() is None
    for name, address in (("lone", ADDRESSES[0]), ("first", ADDRESSES[1]), ("second", ADDRESSES[1])):
        arrivals.arrive(name, address)
    assert [arrivals.make_room() for _ in range(4)] == ["first", "lone", "second", None]


def test_a_network_that_tries_too_often_waits_and_no_other_does() -> None:
    arrivals: Arrivals[int] = Arrivals(ArrivalLimits(network_handshakes_per_s=10.0, network_handshake_burst=3))
    assert [arrivals.wait_s(ADDRESSES[0], 5.0) > 0 for _ in range(4)] == [False, False, False, True]
    assert arrivals.wait_s(ADDRESSES[1], 5.0) == 0.0
    assert arrivals.wait_s(ADDRESSES[0], 6.0) == 0.0


def test_networks_without_number_are_forgotten_in_turn() -> None:
    arrivals: Arrivals[int] = Arrivals(ArrivalLimits(network_handshakes_per_s=0.001, network_handshake_burst=1))
    assert arrivals.wait_s("first", 0.0) == 0.0
    assert arrivals.wait_s("first", 0.0) > 0.0
    for number in range(MAX_NETWORKS):
        assert arrivals.wait_s(f"network {number}", 0.0) == 0.0
    assert arrivals.wait_s("first", 0.0) == 0.0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("/run/gridsignal.sock", "/run/gridsignal.sock"),
    ],
)
def test_a_network_is_an_ipv4_address_or_an_ipv6_64(address: str, network: str) -> None:
    assert network_of(address) == network
