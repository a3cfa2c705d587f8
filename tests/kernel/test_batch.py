"""What a batch costs, counted in messages and datagrams, and what it leaves undone."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.lab import create, vti
from tests.kernel.played import PlayedKernel
from vtid.kernel import wire as nl
from vtid.kernel.batch import GROUP_FROM, Batch, Share
from vtid.kernel.sockets import AT_ONCE, Refused
from vtid.model.link import LEAVING_GROUP, LINK_GROUP, Route
from vtid.model.operation import AddAddress, AddRoute, DeleteLink, Op, SetLink, SetUp

if TYPE_CHECKING:
    from collections.abc import Sequence

MANY = 2 * AT_ONCE


def run(kernel: PlayedKernel, ops: Sequence[Op]) -> Share:
    played: Any = kernel
    return Batch(played, lambda: None).run(ops)


def bring_up(name: str) -> tuple[Op, ...]:
    made = create(vti("", name=name))
    return (
        made,
        AddAddress(tunnel=made.tunnel, reason="", netns="", interface=name, address="fd00::1/127"),
        SetUp(tunnel=made.tunnel, reason="", netns="", name=name),
    )


def deletes(kernel: PlayedKernel, count: int) -> list[Op]:
    links = [kernel.add(f"t{number}", LINK_GROUP) for number in range(count)]
    return [
        DeleteLink(tunnel=each.name, reason="", netns="", name=each.name, ifindex=each.ifindex)
        for each in links
    ]


def test_five_messages_bring_a_tunnel_up_and_four_datagrams_many() -> None:
    kernel = PlayedKernel()
    ops = [op for number in range(MANY) for op in bring_up(f"t{number}")]
    share = run(kernel, ops)
    assert share.changed == dict.fromkeys(range(len(ops)), True)
    assert all(link.up and link.group == LINK_GROUP for link in kernel.links.values())
    assert kernel.messages == 5 * MANY
    assert kernel.datagrams == 4 * MANY / AT_ONCE
    assert not share.silent, "the event of going up shows all that was set before"


def test_a_batch_of_one_waits_for_two_answers() -> None:
    kernel = PlayedKernel()
    run(kernel, bring_up("t1"))
    assert (kernel.messages, kernel.datagrams) == (5, 2)


def test_a_link_that_takes_no_settings_is_not_left_up() -> None:
    kernel = PlayedKernel()
    kernel.unsettable = {"t1"}
    share = run(kernel, [op for name in ("t0", "t1", "t2") for op in bring_up(name)])
    assert share.changed.keys() == {0, 1, 2, 6, 7, 8}
    assert {link.name: link.up for link in kernel.links.values()} == {
        "t0": True,
        "t1": False,
        "t2": True,
    }


@pytest.mark.parametrize("kind", [nl.RTM_NEWLINK, nl.RTM_NEWADDR, nl.RTM_SETLINK])
def test_what_is_refused_is_left_undone_and_hurts_no_other(kind: int) -> None:
    kernel = PlayedKernel()
    kernel.refused[kind, "t1"] = errno.EPERM
    share = run(kernel, [op for name in ("t0", "t1", "t2") for op in bring_up(name)])
    assert {0, 1, 2, 6, 7, 8} <= share.changed.keys()
    first = {nl.RTM_NEWLINK: 0, nl.RTM_NEWADDR: 1, nl.RTM_SETLINK: 2}[kind]
    assert first + 3 not in share.changed
    if kind == nl.RTM_NEWLINK:
        assert not {3, 4, 5} & share.changed.keys(), "nothing builds on a link that is not there"


def test_a_name_of_someone_else_is_not_written_to() -> None:
    kernel = PlayedKernel()
    kernel.add("t1", group=0)
    kernel.refused[nl.RTM_NEWLINK, "t1"] = errno.EEXIST
    share = run(kernel, [*bring_up("t1"), *bring_up("t2")])
    assert share.changed.keys() == {3, 4, 5}
    share = run(kernel, bring_up("t1")[1:])
    assert not share.changed
    assert {name for _, name in kernel.written} == {"t2"}


def test_a_link_that_is_replaced_at_once_is_not_written_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel = PlayedKernel()
    make = kernel.add
    monkeypatch.setattr(kernel, "add", lambda name, group: make(name, group=0 * group))
    assert not run(kernel, bring_up("t1")).changed
    assert kernel.written == [(nl.RTM_NEWLINK, "t1")]


def test_routes_are_added_together_unless_their_table_is_not_known() -> None:
    kernel = PlayedKernel()
    links = [kernel.add(f"t{number}", LINK_GROUP) for number in range(MANY)]
    links[1].master = links[2].master = 99
    ops = [
        AddRoute(
            tunnel=each.name,
            reason="",
            netns="",
            interface=each.name,
            route=Route("10.0.0.0/8", metric=number, table=7 if number == 2 else 0),
        )
        for number, each in enumerate(links)
    ]
    assert run(kernel, ops).changed == dict.fromkeys({*range(MANY)} - {1}, True)
    assert (nl.RTM_NEWROUTE, "t1") not in kernel.written
    assert kernel.messages == 2 * MANY - 1
    assert kernel.datagrams == 4


def test_the_order_within_a_tunnel_counts_where_more_is_to_be_done() -> None:
    kernel = PlayedKernel()
    made, address, up = bring_up("t1")
    change = SetLink(tunnel=made.tunnel, reason="", link=vti(""), ifindex=2, changes=("mtu",))
    assert not run(kernel, [change, address, up]).changed
    assert not kernel.messages


# --- deletion -------------------------------------------------------------------------------------


def test_many_links_are_deleted_by_one_request() -> None:
    kernel = PlayedKernel()
    foreign = kernel.add("eth0", group=0)
    other = kernel.add("stays", LINK_GROUP)
    ops = deletes(kernel, MANY)
    assert run(kernel, ops).changed == dict.fromkeys(range(MANY), True)
    assert kernel.links == {foreign.ifindex: foreign, other.ifindex: other}
    assert kernel.messages == 2 * MANY + 2
    assert kernel.datagrams == 2 * MANY / AT_ONCE + 2


def test_few_links_are_deleted_one_by_one() -> None:
    kernel = PlayedKernel()
    assert not run(kernel, deletes(kernel, GROUP_FROM - 1)).changed
    assert not kernel.messages


def test_links_that_are_no_longer_ours_or_other_ones_stay() -> None:
    kernel = PlayedKernel()
    ops = deletes(kernel, 6)
    taken, renamed, gone, *ours = kernel.links.values()
    taken.group = 7
    renamed.name = "other"
    del kernel.links[gone.ifindex]
    assert run(kernel, ops).changed == {3: True, 4: True, 5: True}
    assert list(kernel.links.values()) == [taken, renamed]
    assert not {link.ifindex for link in ours} & kernel.links.keys()


def test_a_link_that_someone_else_put_into_the_group_is_not_deleted() -> None:
    kernel = PlayedKernel()
    stray = kernel.add("stray", LEAVING_GROUP)
    ops = deletes(kernel, 6)
    assert not run(kernel, ops).changed
    assert len(kernel.links) == 7
    assert [link.group for link in kernel.links.values()] == [stray.group] + 6 * [LINK_GROUP]


def test_a_link_that_comes_into_the_group_meanwhile_is_not_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel = PlayedKernel()
    ops = deletes(kernel, 6)
    write_all = kernel.write_all

    def beside(requests: Sequence[nl.Request]) -> list[Refused | None]:
        answers = write_all(requests)
        if all(link.group == LEAVING_GROUP for link in kernel.links.values()):
            kernel.add("stray", LEAVING_GROUP)
        return answers

    monkeypatch.setattr(kernel, "write_all", beside)
    assert not run(kernel, ops).changed
    groups = [link.group for link in kernel.links.values()]
    assert groups == [*6 * [LINK_GROUP], LEAVING_GROUP]


def test_a_group_that_is_not_deleted_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = PlayedKernel()
    ops = deletes(kernel, 6)
    write_all = kernel.write_all

    def refuse(requests: Sequence[nl.Request]) -> list[Refused | None]:
        if any(each.kind == nl.RTM_DELLINK for each in requests):
            return [Refused(errno.EPERM)]
        return write_all(requests)

    monkeypatch.setattr(kernel, "write_all", refuse)
    assert not run(kernel, ops).changed
    assert [link.group for link in kernel.links.values()] == 6 * [LINK_GROUP]
