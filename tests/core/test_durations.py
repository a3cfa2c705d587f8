"""How long it takes from an event until nothing is left to do for its tunnel."""

from __future__ import annotations

from tests.core.world import World, sa
from vtid.config.load import load
from vtid.model.input import ChildDown, ChildRekeyed, ChildUp, OpDone
from vtid.model.operation import SetUp

CONFIG = load('[[tunnel]]\nconnection = "A"\ninterface = "vti1"\nhold_time = 10\n')


def world() -> World:
    one = World(config=CONFIG).start()
    one.state.take_durations()
    return one


def test_the_time_runs_from_the_event_to_the_last_answer() -> None:
    one = world()
    one.state.apply(ChildUp(sa(1, "A", 1)), one.now)
    ops = one.state.work(one.now, since=one.now - 0.25)
    one.now += 1
    one.run(ops)
    assert one.state.take_durations() == []
    one.settle()
    assert one.state.take_durations() == [1.25]


def test_a_tunnel_that_goes_is_done_as_well() -> None:
    one = world()
    one.tell(ChildUp(sa(1, "A", 1)))
    one.state.take_durations()
    one.tell(ChildDown(1))
    one.pass_time(11)
    assert one.state.take_durations() == [0]
    assert one.link("vti1", "") is None


def test_an_event_that_asks_for_nothing_has_no_duration() -> None:
    one = world()
    one.tell(ChildUp(sa(1, "A", 1)))
    one.state.take_durations()
    one.tell(ChildRekeyed(1, sa(2, "A", 1)), ChildDown(1))
    assert one.state.take_durations() == []


def test_a_failure_counts_until_it_is_over() -> None:
    one = World(config=CONFIG, failing={SetUp: "no"}).start([sa(1, "A", 1)])
    one.pass_time(2)
    assert one.state.take_durations() == []
    one.failing.clear()
    one.pass_time(60)
    assert one.state.take_durations() == [62]


def test_an_answer_to_nobody_has_no_duration() -> None:
    one = world()
    one.tell(OpDone(SetUp(tunnel="other", reason="", netns="", name="other")))
    assert one.state.take_durations() == []
