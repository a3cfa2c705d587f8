"""What the log says of CHILD_SAs and of the MTU: each change once, with tunnel and peer."""

from __future__ import annotations

from dataclasses import replace

from tests.core.world import CBC, World, sa
from vtid.config.load import load
from vtid.model.input import ChildDown, ChildRekeyed, ChildUp, IkeUpdated, SaSnapshot

NEWS = {"CHILD_SA installed", "CHILD_SA rekeyed", "CHILD_SA gone", "endpoints moved", "MTU changed"}


def news(world: World) -> list[tuple[str, str, str, str]]:
    notes = [note for note in world.state.take_notes() if note.event in NEWS]
    return [(note.event, note.tunnel, note.peer, note.detail) for note in notes]


def test_what_is_there_at_the_start_is_no_news() -> None:
    assert news(World().start([sa(1)])) == []


def test_the_life_of_an_sa() -> None:
    world = World().start()
    world.tell(ChildUp(sa(1, remote_id="gw-b")))
    peer = "2001:db8:2::1"
    assert news(world) == [("CHILD_SA installed", "V2-1", peer, "V2-1/net{1} of gw-b")]
    world.tell(ChildRekeyed(1, sa(2)), ChildDown(1))
    assert news(world) == [("CHILD_SA rekeyed", "V2-1", peer, "V2-1/net{2}")]
    world.tell(IkeUpdated(1, "2001:db8:1::1", "2001:db8:2::9"))
    assert news(world) == [("endpoints moved", "V2-1", "2001:db8:2::9", "V2-1/net{2}")]
    world.tell(ChildDown(2), ChildDown(2))
    assert news(world) == [("CHILD_SA gone", "V2-1", "2001:db8:2::9", "V2-1/net{2}")]


def test_of_a_list_what_differs_is_news() -> None:
    world = World().start([sa(1)])
    world.tell(SaSnapshot((sa(1),)))
    assert news(world) == []
    world.tell(SaSnapshot((sa(5),)))
    assert [event for event, *_ in news(world)] == ["CHILD_SA installed", "CHILD_SA gone"]


def test_each_peer_of_a_shared_interface_is_named() -> None:
    shared = '[[tunnel]]\nconnection = "rw-*"\ninterface = "vti9"\nremote = "any"\n'
    world = World(config=load(shared)).start([sa(1, "rw-a", remote_host="2001:db8:9::1")])
    world.state.take_notes()
    world.tell(ChildUp(sa(2, "rw-b", ike_unique_id=2, remote_host="2001:db8:9::2")))
    assert news(world) == [("CHILD_SA installed", "vti9", "2001:db8:9::2", "rw-b/net{2}")]
    world.tell(ChildDown(1), ChildDown(2))
    world.pass_time(10)
    notes = [note for note in world.state.take_notes() if note.event.startswith("tunnel ")]
    assert notes
    assert {note.peer for note in notes} == {""}, "it has no peer of its own"


def test_a_tunnel_that_is_down_still_has_its_peer() -> None:
    world = World().start([sa(1)])
    world.state.take_notes()
    world.tell(ChildDown(1))
    notes = [note for note in world.state.take_notes() if note.event == "tunnel holding"]
    assert [note.peer for note in notes] == ["2001:db8:2::1"]


def test_a_changed_mtu_is_told_once_with_both_values() -> None:
    world = World().start([sa(1)])
    before = world.link()
    world.tell(ChildRekeyed(1, replace(sa(2), esp=CBC)))
    after = world.link()
    assert before
    assert after
    assert before.mtu != after.mtu
    told = [(tunnel, detail) for event, tunnel, _, detail in news(world) if event == "MTU changed"]
    tunnel = world.state.tunnel("V2-1")
    assert tunnel
    assert "AES_CBC-128" in tunnel.desired.reason
    assert told == [("V2-1", f"{before.mtu} to {after.mtu} bytes: {tunnel.desired.reason}")]
