"""Who gets a place, who loses one, and that a newcomer always gets in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vtid.http.admission import Admission, Client, Limits, Phase, Reason, Verdict, client_at

SMALL = Limits(total=8, share=3, reserve=2)


def admission(*clients: str, limits: Limits = SMALL) -> Admission[int]:
    """Return an admission with a place for each client, counted from 0."""
    made: Admission[int] = Admission(limits)
    for place, client in enumerate(clients):
        assert made.enter(place, client_at(client)) == Verdict(), client
    return made


def v4(*numbers: int) -> tuple[str, ...]:
    return tuple(f"192.0.2.{number}" for number in numbers)


def test_a_client_has_a_share() -> None:
    full = admission(*v4(1, 1, 1))
    assert full.enter(99, client_at("192.0.2.1")) == Verdict(Reason.SHARE)
    assert full.enter(99, client_at("192.0.2.2")) == Verdict()


def test_the_reserve_is_for_clients_that_hold_none() -> None:
    almost = admission(*v4(1, 1, 2, 2, 3, 3))
    assert almost.enter(99, client_at("192.0.2.1")) == Verdict(Reason.FULL)
    assert almost.enter(99, client_at("192.0.2.4")) == Verdict()
    assert len(almost) == 7


def test_a_newcomer_displaces_the_one_that_is_waited_for_longest() -> None:
    full = admission(*v4(*range(8)))
    full.begin(0, Phase.WORKING)
    full.begin(0, Phase.WAITING)  # now the last of those that are waited for
    assert full.enter(99, client_at("192.0.2.99")) == Verdict(displaced=1)
    assert full.enter(98, client_at("192.0.2.98")) == Verdict(displaced=2)
    assert len(full) == 8


def test_the_network_that_holds_the_most_pays_for_a_newcomer() -> None:
    one_network = (f"2001:db8::{number}" for number in range(7))
    full = admission("2001:db8:1::1", *one_network)
    assert full.enter(99, client_at("192.0.2.1")) == Verdict(displaced=1)


def test_an_idle_connection_goes_first() -> None:
    full = admission(*v4(*range(8)))
    full.begin(5, Phase.IDLE)
    full.know(5)
    assert full.enter(99, client_at("192.0.2.99")) == Verdict(displaced=5)


def test_strangers_cannot_displace_who_is_known_nor_keep_it_out() -> None:
    full = admission(*v4(*range(8)))
    full.know(0)
    for place in range(1, 8):
        full.begin(place, Phase.WORKING)
    assert full.enter(99, client_at("192.0.2.99")) == Verdict(Reason.FULL)
    full.leave(0)
    assert full.enter(8, client_at("192.0.2.8")) == Verdict()
    full.begin(8, Phase.WORKING)
    assert full.enter(0, client_at("192.0.2.0")) == Verdict(displaced=1)
    full.begin(7, Phase.SENDING)
    assert full.enter(98, client_at("192.0.2.98")) == Verdict(displaced=7)


def test_of_those_that_are_known_the_slowest_goes() -> None:
    full = admission(*v4(*range(8)))
    for place in range(8):
        full.know(place)
        full.begin(place, Phase.WORKING)
    assert full.enter(99, client_at("192.0.2.99")) == Verdict(Reason.FULL)
    full.begin(4, Phase.SENDING)
    full.begin(3, Phase.WAITING)
    assert full.enter(99, client_at("192.0.2.99")) == Verdict(displaced=3)
    full.begin(99, Phase.WORKING)
    full.know(99)
    assert full.enter(98, client_at("192.0.2.98")) == Verdict(displaced=4)


def test_a_bounded_number_of_clients_is_known() -> None:
    full = admission(limits=Limits())
    for number in range(2000):
        full.enter(number, client_at(f"10.0.{number // 250}.{number % 250}"))
        full.know(number)
        full.leave(number)
    full.know(number)  # has left
    assert len(full._known) == 1024
    assert "10.0.7.249" in full._known


def test_a_request_in_the_daemons_hands_is_not_displaced() -> None:
    full = admission(*v4(*range(8)))
    for place in range(8):
        full.begin(place, Phase.WORKING)
    assert full.enter(99, client_at("192.0.2.99")) == Verdict(Reason.FULL)
    full.begin(5, Phase.SENDING)
    full.begin(4, Phase.SENDING)
    assert full.enter(99, client_at("192.0.2.99")) == Verdict(displaced=5)
    full.begin(99, Phase.WORKING)
    full.begin(3, Phase.WAITING)
    assert full.enter(98, client_at("192.0.2.98")) == Verdict(displaced=3)


def test_who_leaves_frees_the_place_once() -> None:
    full = admission(*v4(1, 1, 1))
    full.leave(0)
    full.leave(0)
    full.begin(0, Phase.SENDING)
    assert len(full) == 2
    assert full.enter(3, client_at("192.0.2.1")) == Verdict()
    assert full.enter(4, client_at("192.0.2.1")) == Verdict(Reason.SHARE)


def test_clients_by_address() -> None:
    assert client_at("192.0.2.1") == Client("192.0.2.1", "192.0.2.1")
    assert client_at("::ffff:192.0.2.1") == client_at("192.0.2.1")
    assert client_at("2001:db8::1") == Client("2001:db8::1", "2001:db8::/64")
    assert client_at("fe80::1%eth0") == Client("fe80::1", "fe80::/64")


ADDRESSES = st.sampled_from([*v4(*range(12)), *(f"2001:db8::{number:x}" for number in range(12))])


@given(st.lists(st.tuples(ADDRESSES, st.sampled_from([None, *Phase])), max_size=60))
def test_whatever_comes_the_bounds_hold(moves: list[tuple[str, Phase | None]]) -> None:
    """Compare with a plain list of who is there; a newcomer gets in where any place can be had."""
    tried: Admission[int] = Admission(SMALL)
    there: dict[int, str] = {}
    working: set[int] = set()
    for place, (address, phase) in enumerate(moves):
        verdict = tried.enter(place, client_at(address))
        held = sum(one == address for one in there.values())
        if verdict.displaced is not None:
            assert held == 0
            assert len(there) == SMALL.total
            del there[verdict.displaced]
        if verdict.refused is None:
            there[place] = address
        elif held == 0:
            assert len(there) == SMALL.total
            assert working & there.keys()
        if phase is None:
            tried.leave(place)
            there.pop(place, None)
        else:
            tried.begin(place, phase)
            (working.add if phase is Phase.WORKING else working.discard)(place)
            if phase is Phase.IDLE:
                tried.know(place)
        assert len(tried) == len(there) <= SMALL.total
        assert all(list(there.values()).count(one) <= SMALL.share for one in there.values())
    for place in tuple(there):
        tried.leave(place)
    assert (tried._held, tried._held_by_network, len(tried)) == ({}, {}, 0)
