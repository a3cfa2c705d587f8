"""Many links at once on a real kernel: what belongs to others stays, and each error is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.kernel.lab import Lab, create, lab, shell, vti
from vtid.kernel.sockets import AT_ONCE
from vtid.model.input import LinkGone, OpDone, OpFailed
from vtid.model.link import LEAVING_GROUP, LINK_GROUP
from vtid.model.operation import AddAddress, DeleteLink, Op, SetUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vtid.model.link import Link

pytestmark = pytest.mark.lab

MANY = AT_ONCE + 3


@pytest.fixture
async def net() -> AsyncIterator[Lab]:
    async with lab() as found:
        yield found


def link(number: int) -> Link:
    name = f"vti{number}"
    return replace(
        vti("", name=name, ikey=number),
        remote=f"2001:db8:2::{number:x}",
        alias=f"vtid:{name}",
        link_local=False,
    )


def bring_up(each: Link) -> tuple[Op, ...]:
    address = f"fd00::{2 * each.ikey:x}/127"
    return (
        create(each),
        AddAddress(
            tunnel=f"/{each.name}", reason="", netns="", interface=each.name, address=address
        ),
        SetUp(tunnel=f"/{each.name}", reason="", netns="", name=each.name),
    )


def deletes(net: Lab) -> list[Op]:
    return [
        DeleteLink(tunnel=each.name, reason="", netns="", name=each.name, ifindex=ifindex)
        for ifindex, (each, _) in net.picture("").items()
    ]


async def made(net: Lab, count: int) -> None:
    await net.watch("")
    ops = [op for number in range(1, count + 1) for op in bring_up(link(number))]
    assert all(isinstance(result, OpDone) for result in await net.kernel.execute(ops))


async def test_many_come_up_and_each_error_is_told(net: Lab) -> None:
    shell("ip link add vti2 type bridge; ip link add vti9 type vti6 remote 2001:db8:2::ff key 9")
    taken = replace(link(3), local="::", remote="2001:db8:2::ff")
    links = [link(1), link(2), taken, *(link(number) for number in range(4, MANY))]
    links.remove(link(9))
    await net.watch("")
    results = await net.kernel.execute([op for each in links for op in bring_up(each)])
    wrong = [result for result in results if isinstance(result, OpFailed)]
    assert [result.op for result in wrong] == [*bring_up(link(2)), *bring_up(taken)]
    assert wrong[0].error.startswith("vti2 belongs to someone else (kind bridge)")
    assert "vti9 has this pair of outer addresses" in wrong[3].error
    assert "not tried after" in wrong[1].error
    picture = {each.name: (each, addresses) for each, addresses in net.picture("").values()}
    for each in links:
        if each not in {link(2), taken}:
            seen, addresses = picture.pop(each.name)
            assert replace(seen, sysctls=()) == replace(each, up=True)
            assert addresses == {f"fd00::{2 * each.ikey:x}/127"}
    assert not picture
    assert "state DOWN" in shell("ip link show vti2")


async def test_the_same_again_changes_nothing(net: Lab) -> None:
    await made(net, 5)
    writes = net.kernel.writes
    again = [op for number in range(1, 6) for op in bring_up(link(number))]
    results = await net.kernel.execute([op for op in again if not isinstance(op, AddAddress)])
    assert [result.changed for result in results if isinstance(result, OpDone)] == 10 * [False]
    assert net.kernel.writes == writes
    results = await net.kernel.execute([op for op in again if isinstance(op, AddAddress)])
    assert [result.changed for result in results if isinstance(result, OpDone)] == 5 * [False]


async def test_many_go_and_what_is_not_ours_any_more_stays(net: Lab) -> None:
    await made(net, MANY)
    ops = deletes(net)
    shell("ip link set vti7 group default; ip link delete vti8")
    results = await net.kernel.execute(ops)
    unchanged = [r.op for r in results if isinstance(r, OpDone) and not r.changed]
    assert unchanged == [ops[6], ops[7]]
    assert shell("ip -o link show type vti6 | grep -c ' vti'") == "1\n"
    assert "vti7" in shell("ip -o link show type vti6")
    assert len(net.of(LinkGone, "")) == MANY
    assert not net.picture("")


async def test_a_foreign_link_in_the_group_of_those_that_go_stays(net: Lab) -> None:
    shell(f"ip link add br9 group {LEAVING_GROUP} type bridge")
    await made(net, 5)
    ops = [op for op in deletes(net) if op.tunnel != "br9"]
    assert all(isinstance(r, OpDone) and r.changed for r in await net.kernel.execute(ops))
    assert "br9" in shell(f"ip link show group {LEAVING_GROUP}")
    assert not shell(f"ip link show group {LINK_GROUP}")
