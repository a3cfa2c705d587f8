"""When charon is asked to initiate, and when it is left alone."""

from __future__ import annotations

from itertools import cycle, pairwise, repeat
from typing import TYPE_CHECKING

from tests.core.world import World, sa
from vtid.config.keys import Config, ConfigLoaded
from vtid.config.load import load
from vtid.core.state import State
from vtid.model.input import (
    ChildDown,
    ChildUp,
    FlushAsked,
    ModeAsked,
    OpDone,
    OpFailed,
    SaSnapshot,
    ViciLost,
)
from vtid.model.mode import Mode
from vtid.model.operation import Initiate, Op

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT = """
[[tunnel]]
connection = "V2-1"
child = "net"
interface = "vti{mark}"
initiate = true
"""


STEP = 0.25


class Asked(World):
    """A world that answers on demand only, and notes when charon was asked."""

    def asks(self, seconds: float) -> list[float]:
        """Let time pass in steps; when charon was asked, from now."""
        began, times = self.now, []
        for _ in range(round(seconds / STEP)):
            times += [self.now - began for op in self.pass_time(STEP) if is_ask(op)]
        return times


def is_ask(op: Op) -> bool:
    return isinstance(op, Initiate)


def started(sas: Sequence[object] = (), text: str = TEXT) -> Asked:
    world = Asked(config=load(text))
    world.start(sas)  # type: ignore[arg-type]
    return world


def test_charon_is_asked_later_each_time() -> None:
    world = started()
    assert world.asks(200) == [2.0, 6.0, 14.0, 30.0, 62.0, 122.0, 182.0]
    (one,) = world.state.initiations(0.0)
    assert (one.tunnel, one.up, one.asked) == ("vti{mark}", False, 7)
    assert one.next_at > world.now


def test_many_tunnels_do_not_have_charon_list_its_sas_for_each_of_them() -> None:
    """charon takes a while to list thousands of SAs, and whoever asks lists them first."""
    text = "".join(TEXT.replace("V2-1", f"V{n}").replace("vti", f"v{n}x") for n in range(200))
    jitter = cycle(number / 97 for number in range(97))
    state, now, moments = State(jitter=jitter.__next__), 0.125, []
    for event in (ConfigLoaded(load(text)), SaSnapshot(())):
        state.apply(event, now)
    while now < 30:
        asks = [op for op in state.work(now) if is_ask(op)]
        for op in asks:
            state.apply(OpDone(op), now)
        moments += [now] * bool(asks)
        now = max(state.next_deadline() or 0.0, now + 0.001)
    assert all(later - earlier >= 1 for earlier, later in pairwise(moments))


def test_an_sa_that_is_there_is_not_asked_for() -> None:
    world = started([sa(1)])
    assert world.asks(100) == []
    assert world.state.initiations(0.0)[0].up
    world.tell(ChildDown(1))
    assert world.asks(3) == [2.0]
    world.tell(ChildUp(sa(2)))
    assert world.asks(100) == []


def test_an_sa_that_ends_soon_does_not_begin_the_waits_anew() -> None:
    world = started()
    assert world.asks(3) == [2.0]
    world.tell(ChildUp(sa(1)))
    world.pass_time(1)
    world.tell(ChildDown(1))
    assert world.asks(9) == [8.0]
    world.tell(ChildUp(sa(2)))
    world.pass_time(61)
    world.tell(ChildDown(2))
    assert world.asks(3) == [2.0]


def test_an_sa_that_ends_again_and_again_is_asked_for_once_a_minute() -> None:
    world = started()
    for number in range(8):
        world.asks(60)
        world.tell(ChildUp(sa(number)))
        world.pass_time(59)
        world.tell(ChildDown(number))
    assert world.asks(61) == [60.0]


def test_a_peer_that_is_away_for_days_is_asked_for_once_a_minute() -> None:
    world, minutes = started(), 2 * 24 * 60
    soon = len(world.asks(60))
    for _ in range(minutes):
        world.pass_time(60)
    assert world.state.initiations(0.0)[0].asked == soon + minutes


def test_jitter_spreads_the_waits() -> None:
    for jitter, first in ((0.0, 1.0), (1.0, 3.0)):
        world = Asked(config=load(TEXT))
        world.start()
        world.state = State(jitter=repeat(jitter).__next__)
        world.tell(ConfigLoaded(world.config), SaSnapshot(()))
        assert world.asks(3.5)[0] == first


def test_nothing_is_asked_before_the_sas_are_known_or_while_vici_is_lost() -> None:
    world = Asked(config=load(TEXT))
    world.tell(ConfigLoaded(world.config))
    assert world.asks(10) == []
    world.tell(SaSnapshot(()), ViciLost("gone"))
    assert world.asks(100) == []
    world.tell(SaSnapshot(()))
    assert world.asks(3) == [2.0]


def test_one_that_is_under_way_is_not_asked_for_again() -> None:
    world = started()
    world.now += 2
    (op,) = world.state.work(world.now)
    assert is_ask(op)
    world.tell(SaSnapshot(()))
    assert world.asks(100) == []
    world.tell(OpDone(op, changed=False))
    assert world.state.initiations(0.0)[0].asked == 0
    assert world.asks(5) == [4.0]


def test_a_refusal_is_told_once_and_tried_again() -> None:
    world = started()
    world.failing = {Initiate: "no such child"}
    world.asks(30)
    lines = [note.detail for note in world.state.take_notes() if note.level == "error"]
    assert lines == ["no such child"]
    assert world.state.initiations(0.0)[0].error == "no such child"
    world.failing = {}
    world.asks(60)
    assert world.state.initiations(0.0)[0].error == ""


def test_what_leaves_the_configuration_is_not_asked_for() -> None:
    world = started()
    world.now += 2
    (op,) = world.state.work(world.now)
    world.tell(ConfigLoaded(Config()), OpFailed(op, "too late"))
    assert world.asks(10) == []
    assert world.state.initiations(0.0) == ()


def test_a_reload_does_not_begin_anew() -> None:
    world = started()
    world.asks(10)
    world.tell(ConfigLoaded(world.config))
    assert world.asks(5) == [4.0]


def test_nothing_is_asked_for_after_a_flush() -> None:
    world = started()
    world.tell(FlushAsked())
    assert world.asks(100) == []


def test_what_was_not_asked_for_costs_no_patience() -> None:
    world = started()
    world.tell(ModeAsked(Mode.PAUSED, ()))
    assert world.asks(600) == []
    world.tell(ModeAsked(Mode.MANAGED, ()))
    assert world.asks(3) == [2.0]
    world.tell(FlushAsked())
    assert world.asks(600) == []
    world.tell(ConfigLoaded(world.config))
    assert len(world.asks(5)) == 1
