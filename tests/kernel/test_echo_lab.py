"""Probes on a real kernel: through a pair of interfaces, to a namespace that answers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.kernel.lab import Lab, lab, shell
from vtid.kernel.echo import Echo
from vtid.model.input import AddressSeen, LinkSeen, OpDone, OpFailed, ProbeAnswered
from vtid.model.link import LINK_GROUP
from vtid.model.operation import SendProbe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

PEERS = ("10.7.0.2", "fd07::2", "fe80::2")


class Link:
    """`t0` in the inner namespace, ours, and a peer behind it that carries up to `limit` bytes."""

    def __init__(self, net: Lab, echo: Echo) -> None:
        self.net, self.echo = net, echo
        self.peer = f"{net.inner}p"
        self.rounds = count(1)

    @property
    def ifindex(self) -> int:
        return int(shell(f"ip netns exec {self.net.inner} cat /sys/class/net/t0/ifindex"))

    @property
    def mtu(self) -> int:
        return int(shell(f"ip netns exec {self.net.inner} cat /sys/class/net/t0/mtu"))

    def drop_above(self, limit: int) -> None:
        """Drop larger packets on their way in, without a word."""
        shell(
            f"ip netns exec {self.peer} nft 'add table netdev t; "
            "add chain netdev t c { type filter hook ingress device t1 priority 0; }; "
            f"add rule netdev t c meta length > {limit} drop'"
        )

    def op(self, peer: str, *sizes: int) -> SendProbe:
        return SendProbe(
            tunnel="t",
            reason="test",
            netns=self.net.inner,
            ifindex=self.ifindex,
            peer=peer,
            round=next(self.rounds),
            sizes=sizes,
        )

    async def probe(self, peer: str, *sizes: int) -> OpDone | OpFailed:
        (result,) = await self.echo.execute([self.op(peer, *sizes)])
        return result

    def answers(self) -> list[tuple[int, int]]:
        found = (each for each in self.net.inputs if isinstance(each, ProbeAnswered))
        return [(each.round, each.size) for each in found]

    async def answered(self, *expected: tuple[int, int]) -> None:
        await self.net.until(lambda: set(expected) <= set(self.answers()))


@asynccontextmanager
async def linked(mtu: int = 1446) -> AsyncIterator[Link]:
    async with lab() as net:
        echo = Echo(net.post, net.kernel.raised)
        link = Link(net, echo)
        try:
            shell(f"ip netns add {link.peer}")
            shell(
                f"ip -n {net.inner} link add t0 mtu {mtu} group {LINK_GROUP} type veth "
                f"peer name t1 mtu 9000 netns {link.peer}"
            )
            for where, name, end in ((net.inner, "t0", 1), (link.peer, "t1", 2)):
                shell(f"ip -n {where} link set {name} addrgenmode none up")
                for address in (f"10.7.0.{end}/24", f"fd07::{end}/64", f"fe80::{end}/64"):
                    nodad = " nodad" if ":" in address else ""
                    shell(f"ip -n {where} address add {address} dev {name}{nodad}")
            shell(f"until ip -n {net.inner} link show t0 | grep -q LOWER_UP; do sleep 0.05; done")
            yield link
        finally:
            echo.close()
            shell(f"ip netns delete {link.peer}", check=False)


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    async with linked() as made:
        yield made


@pytest.mark.parametrize("peer", PEERS)
async def test_each_size_is_answered(link: Link, peer: str) -> None:
    assert isinstance(await link.probe(peer, 1446, 1200, 68), OpDone)
    await link.answered((1, 1446), (1, 1200), (1, 68))
    rtts = [each.rtt for each in link.net.inputs if isinstance(each, ProbeAnswered)]
    assert all(0 < rtt < 30 for rtt in rtts)


@pytest.mark.parametrize("peer", PEERS)
async def test_what_the_path_drops_is_not_answered_and_never_fragmented(
    link: Link, peer: str
) -> None:
    link.drop_above(1400)
    await link.probe(peer, 1404, 1400)
    await link.answered((1, 1400))
    await link.probe(peer, 1446, 68)
    await link.answered((2, 68))
    assert set(link.answers()) == {(1, 1400), (2, 68)}


@pytest.mark.parametrize("peer", PEERS)
async def test_a_probe_above_the_mtu_raises_it_for_that_packet_alone(link: Link, peer: str) -> None:
    await link.net.watch(link.net.inner)
    assert isinstance(await link.probe(peer, 1500, 1446), OpDone)
    await link.answered((1, 1500), (1, 1446))
    assert link.mtu == 1446
    assert link.echo.writes == 2
    shell(f"ip -n {link.net.inner} address add 10.9.9.9/32 dev t0")
    await link.net.until(lambda: link.net.of(AddressSeen, link.net.inner))
    seen = {each.link.mtu for each in link.net.inputs if isinstance(each, LinkSeen)}
    assert seen <= {1446}, "the raised MTU is no news"


async def test_the_mtu_of_a_link_of_others_is_never_raised(link: Link) -> None:
    shell(f"ip -n {link.net.inner} link set t0 group 0")
    result = await link.probe("10.7.0.2", 1500)
    assert isinstance(result, OpFailed)
    assert "10.7.0.2: the interface is gone or another one" in result.error
    assert (link.mtu, link.echo.writes) == (1446, 0)


async def test_a_peer_that_is_not_there_is_no_failure(link: Link) -> None:
    assert isinstance(await link.probe("10.7.0.9", 100), OpDone)
    await link.probe("10.7.0.2", 100)
    await link.answered((2, 100))
    assert link.answers() == [(2, 100)]


async def test_what_cannot_be_sent_says_why(link: Link) -> None:
    shell(f"ip -n {link.net.inner} link set t0 down")
    result = await link.probe("10.7.0.2", 100)
    assert isinstance(result, OpFailed)
    assert "echo request to 10.7.0.2: " in result.error


async def test_a_namespace_that_is_gone_is_named(link: Link) -> None:
    op = SendProbe(
        tunnel="t", reason="", netns="nowhere", ifindex=1, peer="::1", round=1, sizes=(100,)
    )
    (result,) = await link.echo.execute([op])
    assert isinstance(result, OpFailed)
    assert "'nowhere'" in result.error


async def test_the_pings_of_others_are_no_answers(link: Link) -> None:
    await link.probe("10.7.0.2", 100)
    await link.answered((1, 100))
    shell(f"ip netns exec {link.net.inner} ping -c 1 -W 5 10.7.0.2")
    await link.probe("10.7.0.2", 100)
    await link.answered((2, 100))
    assert len(link.answers()) == 2


@pytest.mark.parametrize("anew", [False, True], ids=["deleted", "replaced"])
async def test_a_namespace_that_is_gone_is_let_go(link: Link, anew: bool) -> None:  # noqa: FBT001
    """Else its interfaces would live on, and none with the same outer addresses could be made."""
    net = link.net
    net.kernel._left = link.echo.leave
    watching = asyncio.create_task(net.kernel.watch(net.inner))
    assert await link.probe(PEERS[0], 68)
    shell(f"ip netns delete {net.inner}")
    if anew:
        shell(f"ip netns add {net.inner}")
    there = f"ip -n {link.peer} link show t1"
    gone = f"for _ in $(seq 300); do {there} || exit 0; sleep 0.1; done; exit 1"
    await asyncio.to_thread(shell, gone)
    watching.cancel()
