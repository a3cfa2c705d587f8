"""What is counted for a tunnel only grows, whatever becomes of its SAs and its interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.core.world import World, sa
from vtid.config.load import load
from vtid.core.progress import RETRY_FIRST
from vtid.core.tally import Tallies
from vtid.model.counts import NO_COUNTS, Counts, LinkCounters
from vtid.model.input import ChildDown, ChildRekeyed, ChildUp, LinkGone, LinkSeen, ViciLost
from vtid.model.operation import SetUp

if TYPE_CHECKING:
    from vtid.model.sa import ChildSa

FIXED = load('[[tunnel]]\nconnection = "A"\ninterface = "vti1"\nhold_time = 60\n')
BY_MARK = load('[[tunnel]]\nconnection = "A"\ninterface = "vti{mark}"\nhold_time = 60\n')
PATTERN = load('[[tunnel]]\nconnection = "*"\ninterface = "vti{mark}"\nhold_time = 0\n')


def one(unique_id: int, mark: int = 1) -> ChildSa:
    return sa(unique_id, "A", mark)


def carried(world: World, interface: str, packets: int) -> None:
    """Let an interface have received so many packets of 100 bytes in all, and read that."""
    index = world.index_of("", interface)
    assert index
    world.counted[index] = LinkCounters(rx_bytes=100 * packets, rx_packets=packets)
    world.state.count_traffic("", [(index, world.counted[index])])


def counts(world: World, label: str) -> Counts:
    return world.state.labels.tallies.counts(label)


def packets(world: World, label: str) -> int | None:
    traffic = counts(world, label).traffic
    if traffic is None:
        return None
    assert traffic.rx_bytes == 100 * traffic.rx_packets
    return traffic.rx_packets


# --- ups, downs, rekeys, retries -----------------------------------------------------------------


def test_a_tunnel_that_comes_and_goes_is_counted() -> None:
    world = World(config=FIXED).start()
    assert counts(world, "vti1") == NO_COUNTS
    world.tell(ChildUp(one(1)))
    assert (counts(world, "vti1").ups, counts(world, "vti1").downs) == (1, 0)
    world.tell(ChildDown(1))
    world.tell(ChildUp(one(2)))
    assert (counts(world, "vti1").ups, counts(world, "vti1").downs) == (2, 1)


def test_a_tunnel_that_was_up_before_vtid_did_not_come_up() -> None:
    world = World(config=FIXED).start([one(1)])
    assert counts(world, "vti1").ups == 1
    world.start([one(1)])
    assert counts(world, "vti1") == NO_COUNTS
    world.tell(ChildDown(1))
    assert counts(world, "vti1").downs == 1


def test_a_rekey_is_neither_up_nor_down() -> None:
    world = World(config=FIXED).start([one(1)])
    before = counts(world, "vti1")
    world.tell(ChildRekeyed(1, one(2)), ChildDown(1))
    after = counts(world, "vti1")
    assert (after.ups, after.downs, after.rekeys) == (before.ups, before.downs, 1)


def test_a_lost_charon_takes_no_tunnel_down() -> None:
    world = World(config=FIXED).start([one(1)])
    world.tell(ViciLost("gone"))
    assert counts(world, "vti1").downs == 0


def test_retries_are_counted() -> None:
    world = World(config=FIXED, failing={SetUp: "no"}).start([one(1)])
    assert counts(world, "vti1").retries == 0
    world.pass_time(RETRY_FIRST)
    world.pass_time(2 * RETRY_FIRST)
    assert counts(world, "vti1").retries == 2


# --- traffic -------------------------------------------------------------------------------------


def test_traffic_before_the_first_reading_is_unknown() -> None:
    world = World(config=FIXED).start([one(1)])
    assert packets(world, "vti1") is None
    carried(world, "vti1", 5)
    assert packets(world, "vti1") == 5


def test_an_interface_made_anew_counts_on() -> None:
    world = World(config=FIXED).start([one(1)])
    carried(world, "vti1", 5)
    index = world.index_of("", "vti1")
    assert index
    del world.links["", index]
    # two more since it was read
    world.tell(LinkGone("", index, LinkCounters(rx_bytes=700, rx_packets=7)))
    assert world.index_of("", "vti1") != index
    assert packets(world, "vti1") == 7
    carried(world, "vti1", 3)
    assert packets(world, "vti1") == 10


def test_a_reauthentication_with_another_mark_counts_on() -> None:
    world = World(config=BY_MARK).start([one(1, 1)])
    carried(world, "vti1", 5)
    world.tell(ChildUp(one(2, 2)))
    carried(world, "vti2", 3)
    carried(world, "vti1", 6)  # on the way while the SAs changed
    world.tell(ChildDown(1))
    world.pass_time(61)
    assert world.index_of("", "vti1") is None
    assert packets(world, "A") == 9


def test_an_interface_that_was_there_counts_from_the_start() -> None:
    """Else Prometheus, which takes a fall for a restart of the counter, would add it all again."""
    world = World(config=FIXED).start([one(1)])
    carried(world, "vti1", 5)
    world.start([one(1)])
    carried(world, "vti1", 6)
    assert packets(world, "vti1") == 0
    carried(world, "vti1", 9)
    assert packets(world, "vti1") == 3


def test_a_link_that_leaves_our_group_and_comes_back_counts_no_packet_twice() -> None:
    world = World(config=FIXED).start([one(1)])
    carried(world, "vti1", 5)
    index = world.index_of("", "vti1")
    assert index
    for event in (
        LinkGone("", index),
        LinkSeen(world.links["", index], index, LinkCounters(rx_bytes=700, rx_packets=7)),
    ):
        world.state.apply(event, world.now)
    carried(world, "vti1", 9)
    assert packets(world, "vti1") == 5 + 2


def test_tunnels_of_a_pattern_leave_no_counts_behind() -> None:
    world = World(config=PATTERN).start()
    for number in range(1, 6):
        world.tell(ChildUp(one(number, number)))
        carried(world, f"vti{number}", 1)
        assert counts(world, f"vti{number}").ups == 1
        assert counts(world, f"vti{number - 1}") == NO_COUNTS
        world.tell(ChildDown(number))
        world.pass_time(1)
    assert not world.state.labels.tallies._last


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9), st.booleans())))
def test_traffic_is_the_sum_over_all_links(steps: list[tuple[int, int, bool]]) -> None:
    tallies, now, total = Tallies(), dict.fromkeys((1, 2, 3), 0), 0
    tally = tallies.of("A")
    for index, more, is_last in steps:
        now[index] += more
        total += more
        counters = LinkCounters(rx_packets=now[index])
        before = tally.traffic or LinkCounters()
        if is_last:
            tallies.gone(("", index), counters, tally)
            now[index] = 0
        else:
            tallies.read(("", index), counters, tally)
        assert tally.traffic
        assert tally.traffic.rx_packets == total >= before.rx_packets
