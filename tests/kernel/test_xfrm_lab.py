"""XFRM interfaces in the real kernel: what VTIs can, they can, and their if_id is their key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.kernel.lab import Lab, create, lab, shell, xfrm
from vtid.model.operation import DeleteLink, SetLink, SetUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vtid.model.link import Link

pytestmark = pytest.mark.lab


@pytest.fixture
async def net() -> AsyncIterator[Lab]:
    async with lab() as found:
        yield found


def change(link: Link, ifindex: int, *changes: str) -> SetLink:
    return SetLink(tunnel="t", reason="test", link=link, ifindex=ifindex, changes=changes)


@pytest.mark.parametrize("across", [False, True])
async def test_the_life_of_an_xfrm_interface(net: Lab, across: bool) -> None:  # noqa: FBT001
    where = net.inner if across else ""
    await net.watch("", net.inner)
    link = xfrm(where)
    assert await net.done(create(link))
    assert await net.done(SetUp(tunnel="t", reason="test", netns=where, name=link.name))
    ifindex, seen, _ = net.only(where)
    assert seen == replace(link, up=True)

    writes = net.kernel.writes
    assert not await net.done(create(link))
    assert net.kernel.writes == writes

    moved = replace(link, if_id=9, mtu=1400, alias="vtid:other", up=True)
    assert await net.done(change(moved, ifindex, "if_id", "mtu", "alias"))
    assert net.only(where)[:2] == (ifindex, moved)

    delete = DeleteLink(tunnel="t", reason="", netns=where, name=link.name, ifindex=ifindex)
    assert await net.done(delete)
    assert not net.picture(where)


async def test_an_if_id_changes_in_place_while_the_link_is_down_and_is_told(net: Lab) -> None:
    await net.watch(net.inner)
    link = xfrm(net.inner)
    assert await net.done(create(link))
    ifindex, _, _ = net.only(net.inner)
    link = replace(link, if_id=8)
    assert await net.done(change(link, ifindex, "if_id"))
    assert net.only(net.inner)[:2] == (ifindex, link)


async def test_an_if_id_that_another_interface_has_names_it(net: Lab) -> None:
    assert await net.done(create(xfrm(net.inner)))
    await net.watch("", net.inner)
    error = await net.failed(create(xfrm("", name="xfrm8")))
    assert "xfrm8 with if_id 7: File exists" in error
    assert f"xfrm7 in namespace '{net.inner}' has this if_id" in error
    assert await net.done(create(xfrm("", name="xfrm8", if_id=8)))
    ifindex, seen, _ = net.only("")
    error = await net.failed(change(replace(seen, if_id=7), ifindex, "if_id"))
    assert f"xfrm7 in namespace '{net.inner}' has this if_id" in error


async def test_another_kind_under_the_name_is_told(net: Lab) -> None:
    shell("ip link add xfrm7 group 0x76746964 type bridge")
    assert "is there as bridge and cannot become xfrm in place" in await net.failed(
        create(xfrm(""))
    )
