"""Interfaces of ours in namespaces that the configuration no longer names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.lab import Lab, lab, shell
from vtid.kernel.leftovers import leftovers
from vtid.model.link import LINK_GROUP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.lab


@pytest.fixture
async def net() -> AsyncIterator[Lab]:
    async with lab() as found:
        yield found


def leave(net: Lab, name: str, outer: str = "") -> None:
    """Leave a link in our group, whose other side is in vtid's own namespace or in `outer`."""
    shell(f"ip {outer} link add o-{name} type veth peer name {name}")
    shell(f"ip {outer} link set {name} netns {net.inner}")
    shell(f"ip -n {net.inner} link set {name} group {LINK_GROUP}")


async def test_what_is_left_is_told_with_the_command_that_removes_it(net: Lab) -> None:
    assert await leftovers({""}) == ()
    shell(f"ip -n {net.inner} link add br1 type bridge")
    leave(net, "vti1")
    leave(net, "vti2")
    (line,) = await leftovers({""})
    assert line.startswith(f"namespace '{net.inner}' has 2 interfaces of vtid (vti1, vti2), and no")
    command = f"ip -n {net.inner} link delete group {LINK_GROUP}"
    assert f"`{command}`" in line
    assert await leftovers({"", net.inner}) == ()
    shell(command)
    assert await leftovers({""}) == ()
    shell(f"ip -n {net.inner} link show br1")


async def test_what_is_another_vtids_is_not_told(net: Lab) -> None:
    other = f"{net.inner}o"
    shell(f"ip netns add {other}")
    try:
        leave(net, "vti3", f"-n {other}")
        assert await leftovers({""}) == ()
        leave(net, "vti4")
        (line,) = await leftovers({""})
        assert "has 1 interface of vtid (vti4), and" in line
        assert f"`ip -n {net.inner} link delete NAME`" in line
    finally:
        shell(f"ip netns delete {other}")
