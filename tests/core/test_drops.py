"""Drops: a tunnel whose SA is up is named while its packets die in the kernel, and only then."""

from __future__ import annotations

import pytest

from tests.core.test_probing import config
from tests.core.world import World, sa, status_of
from vtid.core.drops import READINGS
from vtid.model.counts import LinkCounters
from vtid.model.input import ChildDown, NetnsLost

LIVENESS = 'interval = "5s"'
SOME = {"InNoPols": 3, "OutNoStates": 0}


def world(probe: str = "mtu = false", passes: int = 0) -> World:
    made = World(config=config(probe).config, passes=passes).start([sa(1)])
    for netns in ("", "private"):
        made.state.count_drops(netns, SOME)
    return made


def named(made: World) -> str:
    one, *_ = (each for each in status_of(made).tunnels if each.interface == "vti3")
    assert (one.dropped in one.reason) or not one.dropped
    return one.dropped


def carry(made: World, received: int, sent: int, failed: int = 0) -> None:
    index = made.index_of("private", "vti3")
    assert index
    counted = LinkCounters(rx_packets=received, tx_packets=sent, tx_errors=failed)
    made.state.count_traffic("private", [(index, counted)])


def sends_in_vain(made: World, readings: int = READINGS) -> None:
    carry(made, 10, 100)
    for number in range(1, readings + 1):
        carry(made, 10, 100 + number)


def grows(made: World, netns: str = "private", by: int = 5) -> None:
    made.state.count_drops(netns, SOME | {"InNoPols": SOME["InNoPols"] + by})


def run(made: World, seconds: float) -> None:
    for _ in range(int(seconds / 0.1)):
        made.pass_time(0.1)


def test_it_sends_and_receives_nothing_while_drops_grow() -> None:
    made = world()
    sends_in_vain(made)
    assert not named(made)
    grows(made)
    assert named(made) == (
        "it sends and receives nothing, and IPsec drops packets: 5 by XfrmInNoPols in namespace "
        "private"
    )
    carry(made, 11, 200)
    assert not named(made), "one that came in"


def test_packets_that_find_no_sa_count_as_sent() -> None:
    made = world()
    for failed in range(READINGS + 1):
        carry(made, 10, 100, failed)
    grows(made, "")
    assert "5 by XfrmInNoPols" in named(made)


@pytest.mark.parametrize("netns", ["", "private", "other"])
def test_it_is_about_its_own_namespace_and_that_of_esp(netns: str) -> None:
    made = world()
    sends_in_vain(made)
    grows(made, netns)
    assert bool(named(made)) is (netns != "other")


def test_what_was_dropped_long_ago_is_no_news() -> None:
    made = world()
    sends_in_vain(made)
    grows(made)
    for _ in range(READINGS):
        assert named(made)
        grows(made)  # the same counters, read again
    assert not named(made)


def test_of_a_namespace_that_is_gone_nothing_is_news() -> None:
    made = world()
    sends_in_vain(made)
    grows(made)
    assert named(made)
    made.tell(NetnsLost("private", "deleted"))
    assert not named(made)
    grows(made, by=9)  # what one of its name, made anew, has counted when it is read first
    assert not named(made)


def test_few_readings_say_nothing() -> None:
    made = world()
    sends_in_vain(made, READINGS - 1)
    grows(made)
    assert not named(made)


def test_a_tunnel_without_sa_is_not_named() -> None:
    made = world()
    sends_in_vain(made)
    grows(made)
    made.tell(ChildDown(1))
    assert not named(made)


@pytest.mark.parametrize(
    ("probe", "answered_before", "words"),
    [
        (LIVENESS, True, "probes have no answer"),
        (LIVENESS, False, "probes have no answer"),
        ("", True, "probes have no answer"),
        ("", False, ""),
    ],
)
def test_probes_without_answer(probe: str, answered_before: bool, words: str) -> None:  # noqa: FBT001
    """Of a peer that never answered, nobody knows whether it would, unless `interval` is set."""
    made = world(probe, passes=9000 if answered_before else 0)
    run(made, 10)
    made.passes = 0
    run(made, 60)
    assert not named(made)
    grows(made)
    assert named(made).startswith(words)
    assert bool(named(made)) is bool(words)
