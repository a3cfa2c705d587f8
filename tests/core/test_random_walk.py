"""Histories by chance: what must hold of the core whatever charon, kernel and clock do.

    pytest tests/core/test_random_walk.py --hypothesis-profile=long

tries some thousands of them in a few minutes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import booleans, floats, integers, sampled_from

from tests.core.world import CBC, GCM, LAB_TEXT, World, sa
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.core.rehearsal import Rehearsal
from vtid.model.input import (
    AdoptAsked,
    ChildDown,
    ChildRekeyed,
    ChildUp,
    ClampSnapshot,
    IkeDown,
    IkeRekeyed,
    IkeUpdated,
    LinkGone,
    ModeAsked,
    NetnsLost,
    SaSnapshot,
    UnderlayChanged,
    ViciLost,
)
from vtid.model.link import Link, tunnel_name
from vtid.model.mode import Mode
from vtid.model.operation import (
    AddAddress,
    CreateLink,
    DeleteBird,
    DeleteClamp,
    DeleteLink,
    PutBird,
    SetClamp,
    SetLink,
    SetUp,
)
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.model.input import Input
    from vtid.model.operation import Op
    from vtid.model.sa import ChildSa

EVERY_KIND = load(
    LAB_TEXT
    + """
[[tunnel]]
connection = "kept"
interface = "kept0"
on_down = "down"
addresses = ["2001:db8:ff::4/127", "169.254.1.4/31"]

[[tunnel]]
connection = "trap"
interface = "trap0"
presence = "always"
local = "2001:db8:1::1"
remote = "2001:db8:7::1"
mark = 7
esp = "aes256-sha512"

[[tunnel]]
connection = "all"
interface = "all0"
remote = "any"

[[tunnel]]
connection = "each"
interface = "rw-{remote_id}"
"""
)

TUNNELS = {
    "V2-1": "private/vti3",
    "V2-2": "fixed0",
    "kept": "kept0",
    "trap": "trap0",
    "all": "all0",
    "each": "rw-{who}",
}
"""Tunnel by connection."""

CONNECTIONS = {"V2-1": 3, "V2-2": 4, "kept": 5, "trap": 7, "all": 8, "each": 9, "stranger": 10}
"""Mark by connection."""

PEERS = ("carol", "dave")
FOREIGN = Link(
    netns="private",
    name="vti77",
    kind="vti6",
    local="2001:db8:1::1",
    remote="2001:db8:2::1",
    ikey=3,
    okey=3,
    mtu=1400,
    alias="vtid:private/vti77",
    outer_netns_ok=False,
)
"""Of another vtid, in a namespace that both use."""

FOREIGN_INDEX = 7777
BY_SCRIPT = replace(FOREIGN, name="vti3", alias="", disable_policy=False, outer_netns_ok=True)
"""What a script makes, of the name and with the keys that the first connection wants."""
DELETES = DeleteLink | DeleteClamp | DeleteBird
HOLD = 3.0


def tunnel_of(child: ChildSa) -> str:
    return TUNNELS.get(child.connection, "").format(who=child.remote_id)


class Histories(RuleBasedStateMachine):
    """charon's SAs are `live`; `lost` means that vtid hears nothing of them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(config=EVERY_KIND)
        self.world.links["private", FOREIGN_INDEX] = FOREIGN
        self.world.start()
        self.live: dict[int, ChildSa] = {}
        self.count = 0
        self.lost = False
        self.stranger = BY_SCRIPT
        self.last_live: dict[str, float] = {}
        """When a tunnel had an SA last, by its name."""
        self.kept = False
        """Whether there was an interface that its policy keeps, when all was well."""

    def tell(self, *events: Input) -> None:
        if not self.lost:
            self.watched(lambda: self.world.tell(*events))

    def watched(self, happen: Callable[[], object]) -> None:
        """Let something happen, and look at every operation that follows from it."""
        done, late = len(self.world.done), len(self.world.late)
        for child in self.live.values():
            self.last_live[tunnel_of(child)] = self.world.now
        happen()
        for op in (*self.world.done[done:], *self.world.late[late:]):
            assert "vti77" not in op.tunnel
            if isinstance(op, DELETES):
                assert not self.lost
                assert op.tunnel != "trap0"
                assert op.tunnel != "kept0" or not isinstance(op, DeleteLink)
                drained = isinstance(op, DeleteBird) and self.world.state.modes.told
                assert drained or self.world.now >= self.last_live.get(op.tunnel, 0.0) + HOLD

    def new(self, connection: str, who: str, *, cbc: bool, ike: int) -> ChildSa:
        self.count += 1
        return sa(
            self.count,
            connection,
            CONNECTIONS[connection],
            esp=CBC if cbc else GCM,
            remote_id=who,
            ike_unique_id=ike,
        )

    @rule(
        connection=sampled_from(sorted(CONNECTIONS)),
        who=sampled_from(PEERS),
        cbc=booleans(),
        ike=integers(1, 3),
    )
    def up(self, connection: str, who: str, *, cbc: bool, ike: int) -> None:
        child = self.new(connection, who, cbc=cbc, ike=ike)
        self.live[child.unique_id] = child
        self.tell(ChildUp(child))

    @rule(connection=sampled_from(sorted(CONNECTIONS)))
    def one_peer_comes_and_the_other_goes(self, connection: str) -> None:
        self.up(connection, "dave", cbc=False, ike=1)
        for child in list(self.live.values()):
            if (child.connection, child.remote_id) == (connection, "carol"):
                del self.live[child.unique_id]
                self.tell(ChildDown(child.unique_id))

    @precondition(lambda self: self.live)
    @rule(pick=integers(0, 99), cbc=booleans(), twice=booleans())
    def rekey(self, pick: int, cbc: bool, twice: bool) -> None:  # noqa: FBT001
        old = sorted(self.live)[pick % len(self.live)]
        was = self.live.pop(old)
        child = self.new(was.connection, was.remote_id, cbc=cbc, ike=was.ike_unique_id)
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

    @rule(ike=integers(1, 3), host=integers(1, 3))
    def roam(self, ike: int, host: int) -> None:
        remote = f"2001:db8:{host}::1"
        self.live = {
            key: replace(one, remote_host=remote) if one.ike_unique_id == ike else one
            for key, one in self.live.items()
        }
        self.tell(IkeUpdated(ike, "2001:db8:1::1", remote))

    @rule(old=integers(1, 3), new=integers(1, 3))
    def rekey_ike(self, old: int, new: int) -> None:
        self.live = {
            key: replace(one, ike_unique_id=new) if one.ike_unique_id == old else one
            for key, one in self.live.items()
        }
        self.tell(IkeRekeyed(old, new))

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

    @rule(mtu=sampled_from([576, 1280, 1300, 1400, 1500, 9000]))
    def move_underlay(self, mtu: int) -> None:
        self.world.underlay_mtu = mtu
        self.watched(lambda: self.world.tell(UnderlayChanged()))

    @rule(
        kind=sampled_from([CreateLink, SetLink, SetUp, AddAddress, SetClamp, PutBird, DeleteLink])
    )
    def fail_and_recover(self, kind: type[Op]) -> None:
        self.world.failing = {} if self.world.failing else {kind: "no"}
        if not self.world.failing:
            self.wait(61)

    @rule(mtu=sampled_from([68, 1279, 1280, 1500]))
    def another_program_changes_the_mtus(self, mtu: int) -> None:
        for (_, index), link in list(self.world.links.items()):
            if index != FOREIGN_INDEX:
                self.watched(lambda: self.world.change_mtu(index, replace(link, mtu=mtu)))  # noqa: B023

    @rule()
    def another_program_deletes_our_links(self) -> None:
        for netns, index in list(self.world.links):
            if index == FOREIGN_INDEX:
                continue
            del self.world.links[netns, index]
            self.world.addresses.pop((netns, index), None)
            self.world.tell(LinkGone(netns, index))

    @rule()
    def another_program_flushes_nftables(self) -> None:
        self.world.clamps.clear()
        self.world.tell(ClampSnapshot("private", ()), ClampSnapshot("", ()))

    @rule()
    def namespace_goes_and_returns(self) -> None:
        self.world.tell(NetnsLost("private", "missing"))
        self.world.tell(self.world.links_in("private"), self.world.clamps_in("private"))

    @rule()
    def reload(self) -> None:
        self.world.tell(ConfigLoaded(EVERY_KIND))

    @rule(mode=sampled_from(Mode), name=sampled_from(("", "V2-1", "kept0")))
    def the_operator_sets_a_mode(self, mode: Mode, name: str) -> None:
        self.world.tell(ModeAsked(mode, (name,) if name else ()))

    @precondition(lambda self: not self.world.strangers and not self.world.link())
    @rule(index=integers(500, 502), kind=sampled_from(("vti6", "dummy")))
    def a_script_makes_an_interface(self, index: int, kind: str) -> None:
        if ("private", index) not in self.world.links:
            self.stranger = replace(BY_SCRIPT, kind=kind)
            self.world.strangers["private", index] = self.stranger

    @precondition(lambda self: self.world.strangers)
    @rule()
    def the_script_removes_it(self) -> None:
        self.world.strangers.clear()
        self.wait(61)  # past every back-off

    @rule(name=sampled_from(("", "private/vti3", "V2-1", "kept0")))
    def the_operator_adopts(self, name: str) -> None:
        self.watched(lambda: self.world.tell(AdoptAsked((name,) if name else ())))

    @initialize(slow=booleans())
    def operations_take(self, slow: bool) -> None:  # noqa: FBT001
        self.world.slow = slow

    @rule()
    def operations_take_long(self) -> None:
        self.world.slow = True

    @precondition(lambda self: self.world.late)
    @rule(count=integers(1, 9))
    def some_are_answered(self, count: int) -> None:
        self.world.answer(count)
        self.watched(self.world.settle)
        if not self.world.late:
            self.wait(61)  # past the back-off of what came too late

    @precondition(lambda self: self.world.late)
    @rule(count=integers(1, 9))
    def some_fail(self, count: int) -> None:
        self.world.failing = {type(op): "no" for op in self.world.late}
        self.some_are_answered(count)

    @precondition(lambda self: self.world.late and self.live)
    @rule(pick=integers(0, 99))
    def an_sa_leaves_and_they_fail(self, pick: int) -> None:
        self.down(pick)
        self.some_fail(9)

    @precondition(lambda self: self.world.slow)
    @rule()
    def all_are_answered(self) -> None:
        self.world.slow = False
        self.some_are_answered(len(self.world.late))

    @rule()
    def restart(self) -> None:
        self.world.start(tuple(self.live.values()))
        self.lost = False
        self.kept &= self.world.link("kept0", "") is not None  # it may have been deleted before

    @property
    def is_at_rest(self) -> bool:
        return not (self.world.failing or self.world.strangers or self.world.late)

    @invariant()
    def a_second_plan_is_empty(self) -> None:
        if self.is_at_rest:
            assert self.world.state.preview(self.world.now) == ()

    @invariant()
    def a_rehearsal_of_the_same_configuration_is_empty(self) -> None:
        if self.is_at_rest:
            rehearsal = Rehearsal(self.world.state.memory(), EVERY_KIND, self.world.now)
            assert rehearsal.use(EVERY_KIND) == ()

    @precondition(lambda self: not self.lost and not self.world.failing)
    @rule()
    def each_sa_has_its_interface_and_no_sa_has_none(self) -> None:
        self.world.tell(ModeAsked(Mode.MANAGED))
        self.all_are_answered()
        self.the_script_removes_it()
        self.wait(61)  # past every back-off and hold time
        state = self.world.state
        there = {tunnel_name(link.netns, link.name): link.up for link in self.ours()}
        for child in self.live.values():
            refused = child.unique_id in state.problems
            assert child.connection == "stranger" or refused or there[tunnel_of(child)]
        wanted = {tunnel_of(child) for child in self.live.values()}
        up = {name for name, is_up in there.items() if is_up}
        assert up == (wanted - {""}) | {"trap0"}
        assert there.keys() <= wanted | {"trap0", "kept0"}
        assert there.keys() >= ({"kept0"} if self.kept else set())
        self.kept = "kept0" in there
        # what is kept down stays as it was found after a restart, also without a clamp
        assert {tunnel_name(*place) for place in self.world.clamps} >= up
        assert {tunnel for _, tunnel in self.world.blocks} == there.keys() & {"private/vti3"}

    @invariant()
    def what_is_not_ours_is_as_it_was(self) -> None:
        assert self.world.links["private", FOREIGN_INDEX] == FOREIGN
        assert all(link == self.stranger for link in self.world.strangers.values())

    def ours(self) -> list[Link]:
        return [link for link in self.world.links.values() if link is not FOREIGN]

    def teardown(self) -> None:
        if not self.lost and not self.world.failing:
            self.each_sa_has_its_interface_and_no_sa_has_none()

    @invariant()
    def nothing_is_left_in_flight(self) -> None:
        if self.world.late:
            return
        assert all(not tunnel.progress.pending for tunnel in self.world.state.tunnels.values())
        assert not self.world.state.is_busy()

    @invariant()
    def what_is_counted_is_what_there_is(self) -> None:
        state = self.world.state
        there = Counter(tunnel.state for tunnel in state.tunnels.values())
        assert +Counter(state.count) == there
        assert len(state.in_error) == there[TunnelState.ERROR]
        assert all(tunnel.state is TunnelState.ERROR for tunnel in state.in_error)
        labels = {tunnel.label for tunnel in state.tunnels.values()}
        assert all(label not in labels for _, label in state.labels.waiting())


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=2 * settings().max_examples, stateful_step_count=20, deadline=None
)


def test_a_flush_while_nothing_is_heard_of_charon() -> None:
    walk = Histories()
    walk.up("kept", "carol", cbc=False, ike=1)
    walk.down(0)
    walk.lose_vici()
    walk.another_program_flushes_nftables()
    walk.regain_vici()
    walk.teardown()


def test_links_that_are_deleted_while_their_sas_are_gone() -> None:
    walk = Histories()
    for connection in TUNNELS:
        walk.up(connection, "carol", cbc=False, ike=1)
    walk.each_sa_has_its_interface_and_no_sa_has_none()
    walk.ike_down(1)
    walk.another_program_deletes_our_links()
    walk.a_second_plan_is_empty()
    walk.teardown()


@pytest.mark.parametrize("connection", ["V2-1", "all"])
def test_an_sa_that_leaves_while_operations_take_long_and_fail(connection: str) -> None:
    walk = Histories()
    walk.up(connection, "carol", cbc=False, ike=1)
    walk.operations_take_long()
    walk.another_program_flushes_nftables()
    walk.down(0)
    walk.some_fail(9)
    walk.fail_and_recover(SetClamp)
    walk.teardown()
