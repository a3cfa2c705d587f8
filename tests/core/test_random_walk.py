"""Thousands of histories: what must hold of the core whatever charon, kernel and clock do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import booleans, floats, integers, sampled_from

from tests.core.world import CBC, GCM, LAB, World, sa
from vtid.config import ConfigLoaded
from vtid.model import (
    ChildDown,
    ChildRekeyed,
    ChildSa,
    ChildUp,
    ClampSnapshot,
    CreateLink,
    DeleteBird,
    DeleteClamp,
    DeleteLink,
    IkeDown,
    LinkGone,
    NetnsLost,
    SaSnapshot,
    UnderlayChanged,
    ViciLost,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.model import Input

CONNECTIONS = {"V2-1": 3, "V2-2": 4, "stranger": 9}
DELETES = DeleteLink | DeleteClamp | DeleteBird
HOLD = 3.0


class Histories(RuleBasedStateMachine):
    """charon's SAs are `live`; `lost` means that vtid hears nothing of them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World().start()
        self.live: dict[int, ChildSa] = {}
        self.count = 0
        self.lost = False
        self.last_live = dict.fromkeys(CONNECTIONS, 0.0)

    def tell(self, *events: Input) -> None:
        if not self.lost:
            self.watched(lambda: self.world.tell(*events))

    def watched(self, happen: Callable[[], object]) -> None:
        """Let something happen, and look at every operation that follows from it."""
        before = len(self.world.done)
        for child in self.live.values():
            self.last_live[child.connection] = self.world.now
        happen()
        for op in self.world.done[before:]:
            if isinstance(op, DELETES):
                assert not self.lost
                connection = {"private/vti3": "V2-1", "fixed0": "V2-2"}[op.tunnel]
                assert self.world.now >= self.last_live[connection] + HOLD

    def new(self, connection: str, *, cbc: bool, ike: int) -> ChildSa:
        self.count += 1
        esp = CBC if cbc else GCM
        return sa(self.count, connection, CONNECTIONS[connection], esp=esp, ike_unique_id=ike)

    @rule(connection=sampled_from(sorted(CONNECTIONS)), cbc=booleans(), ike=integers(1, 3))
    def up(self, connection: str, cbc: bool, ike: int) -> None:  # noqa: FBT001
        child = self.new(connection, cbc=cbc, ike=ike)
        self.live[child.unique_id] = child
        self.tell(ChildUp(child))

    @precondition(lambda self: self.live)
    @rule(pick=integers(0, 99), cbc=booleans(), twice=booleans())
    def rekey(self, pick: int, cbc: bool, twice: bool) -> None:  # noqa: FBT001
        old = sorted(self.live)[pick % len(self.live)]
        child = self.new(self.live[old].connection, cbc=cbc, ike=self.live[old].ike_unique_id)
        del self.live[old]
        self.live[child.unique_id] = child
        self.tell(ChildRekeyed(old, child))
        if twice:
            self.tell(ChildDown(old))

    @precondition(lambda self: self.live)
    @rule(pick=integers(0, 99))
    def down(self, pick: int) -> None:
        unique_id = sorted(self.live)[pick % len(self.live)]
        del self.live[unique_id]
        self.tell(ChildDown(unique_id))

    @rule(ike=integers(1, 3))
    def ike_down(self, ike: int) -> None:
        self.live = {key: one for key, one in self.live.items() if one.ike_unique_id != ike}
        self.tell(IkeDown(ike))

    @rule()
    def lose_vici(self) -> None:
        self.tell(ViciLost("lost"))
        self.lost = True

    @precondition(lambda self: self.lost)
    @rule()
    def regain_vici(self) -> None:
        self.lost = False
        self.tell(SaSnapshot(tuple(self.live.values())))

    @rule(seconds=floats(0.1, 10))
    def wait(self, seconds: float) -> None:
        self.watched(lambda: self.world.pass_time(seconds))

    @rule(mtu=sampled_from([1280, 1400, 1500, 9000]))
    def move_underlay(self, mtu: int) -> None:
        self.world.underlay_mtu = mtu
        self.watched(lambda: self.world.tell(UnderlayChanged()))

    @rule()
    def fail_and_recover(self) -> None:
        self.world.failing = {} if self.world.failing else {CreateLink: "no"}
        if not self.world.failing:
            self.wait(61)

    @rule()
    def somebody_deletes_our_links(self) -> None:
        for netns, index in list(self.world.links):
            del self.world.links[netns, index]
            self.world.addresses.pop((netns, index), None)
            self.world.tell(LinkGone(netns, index))

    @rule()
    def somebody_flushes_nftables(self) -> None:
        self.world.clamps.clear()
        self.world.tell(ClampSnapshot("private", ()), ClampSnapshot("", ()))

    @rule()
    def namespace_goes_and_returns(self) -> None:
        self.world.tell(NetnsLost("private", "missing"))
        self.world.tell(self.world.links_in("private"), self.world.clamps_in("private"))

    @rule()
    def reload(self) -> None:
        self.world.tell(ConfigLoaded(LAB))

    @rule()
    def restart(self) -> None:
        self.world.start(tuple(self.live.values()))
        self.lost = False

    @invariant()
    def a_second_plan_is_empty(self) -> None:
        if not self.world.failing:
            assert self.world.state.preview(self.world.now) == ()

    @precondition(lambda self: not self.lost and not self.world.failing)
    @rule()
    def each_sa_has_its_interface_and_no_sa_has_none(self) -> None:
        self.wait(61)  # past every back-off and hold time
        wanted = {one.connection for one in self.live.values()} & {"V2-1", "V2-2"}
        names = {"V2-1": "vti3", "V2-2": "fixed0"}
        there = {link.name for link in self.world.links.values() if link.up}
        assert there == {names[connection] for connection in wanted}
        clamped = {interface for _, interface in self.world.clamps}
        assert clamped == there
        assert {tunnel for _, tunnel in self.world.blocks} == {
            f"private/{name}" for name in there if name == "vti3"
        }

    @invariant()
    def nothing_is_left_in_flight(self) -> None:
        assert all(not record.pending for record in self.world.state.tunnels.values())


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
