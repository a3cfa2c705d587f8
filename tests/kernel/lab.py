"""A network namespace of its own for a test, and what the kernel room posts there."""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from vtid.kernel.client import Kernel
from vtid.model.input import (
    AddressGone,
    AddressSeen,
    Input,
    LinkGone,
    LinkSeen,
    LinkSnapshot,
    OpDone,
    OpFailed,
    RouteGone,
    RouteSeen,
    RoutesSeen,
)
from vtid.model.link import Link, Route
from vtid.model.operation import CreateLink, Op
from vtid.netns import CLONE_NEWNET, Namespaces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

I = TypeVar("I", bound=Input)  # noqa: E741 - an input

PATIENCE = 60.0
"""Seconds until a condition that does not come true fails the test; an emulated machine is slow."""

ENDS = {"vti": ("203.0.113.1", "203.0.113.2"), "vti6": ("2001:db8:1::1", "2001:db8:2::1")}


class Lab:
    """vtid's own namespace is a fresh one, with an underlay; `inner` is another."""

    def __init__(self) -> None:
        self.inner = f"vtid-k{os.getpid()}"
        self.namespaces = Namespaces()
        self.kernel = Kernel(self.namespaces, self.post)
        self.inputs: list[Input] = []
        """Our routes by namespace and link, as `picture` read them last."""
        self._news = asyncio.Event()
        self._watches: dict[str, asyncio.Task[None]] = {}

    def post(self, each: Input) -> None:
        self.inputs.append(each)
        self._news.set()

    async def watch(self, *names: str) -> None:
        for netns in names:
            self._watches[netns] = asyncio.create_task(self.kernel.watch(netns))
            await self.until(lambda n=netns: self.of(LinkSnapshot, n))  # type: ignore[misc]

    async def unwatch(self) -> None:
        for task in self._watches.values():
            task.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)
        self._watches.clear()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def of(self, kind: type[I], netns: str) -> list[I]:
        return [
            each
            for each in self.inputs
            if isinstance(each, kind)
            and (each.link.netns if isinstance(each, LinkSeen) else getattr(each, "netns", ""))
            == netns
        ]

    def picture(self, netns: str) -> dict[int, tuple[Link, set[str]]]:
        """What a state that applies the inputs knows of a namespace."""
        links: dict[int, tuple[Link, set[str]]] = {}
        for each in self.inputs:
            match each:
                case LinkSnapshot(netns=where) if where == netns:
                    links = {ifindex: (link, set()) for ifindex, link in each.links}
                    for ifindex, address in each.addresses:
                        links[ifindex][1].add(address)
                case LinkSeen(link=link) if link.netns == netns:
                    links[each.ifindex] = (link, links.get(each.ifindex, (link, set()))[1])
                case LinkGone(netns=where) if where == netns:
                    del links[each.ifindex]
                case AddressSeen(netns=where) if where == netns:
                    links[each.ifindex][1].add(each.address)
                case AddressGone(netns=where) if where == netns:
                    links[each.ifindex][1].discard(each.address)
                case _:
                    pass
        return links

    def routes(self, netns: str) -> dict[int, set[Route]]:
        """What a state that applies the inputs knows of a namespace's routes, by link."""
        routes: dict[int, set[Route]] = defaultdict(set)
        for each in self.inputs:
            match each:
                case LinkSnapshot(netns=where) if where == netns:
                    routes.clear()
                    for ifindex, route in each.routes:
                        routes[ifindex].add(route)
                case RouteSeen(netns=where) if where == netns:
                    routes[each.ifindex].add(each.route)
                case RouteGone(netns=where) if where == netns:
                    routes[each.ifindex].discard(each.route)
                case RoutesSeen(netns=where) if where == netns:
                    routes[each.ifindex] = set(each.routes)
        return routes

    def only(self, netns: str) -> tuple[int, Link, set[str]]:
        ((ifindex, (link, addresses)),) = self.picture(netns).items()
        return (
            ifindex,
            replace(link, sysctls=()),
            {address for address in addresses if address[:4] != "fe80"},
        )

    async def one(self, op: Op) -> OpDone | OpFailed:
        (result,) = await self.kernel.execute([op])
        return result

    async def done(self, op: Op) -> bool:
        result = await self.one(op)
        assert isinstance(result, OpDone), result.error
        return result.changed

    async def failed(self, op: Op) -> str:
        result = await self.one(op)
        assert isinstance(result, OpFailed)
        return result.error


def shell(command: str, *, check: bool = True) -> str:
    found = subprocess.run(command, shell=True, check=check, text=True, stdout=subprocess.PIPE)  # noqa: S602
    return found.stdout


def ip(*lines: str) -> None:
    subprocess.run(["ip", "-batch", "-"], check=True, text=True, input="\n".join(lines))


def vti(netns: str, kind: str = "vti6", name: str = "vti7", ikey: int = 7, mtu: int = 1406) -> Link:
    local, remote = ENDS[kind]
    return Link(
        netns=netns,
        name=name,
        kind=kind,
        local=local,
        remote=remote,
        ikey=ikey,
        okey=0x1234,
        mtu=mtu,
        alias=f"vtid:{netns}/{name}",
        up=False,
    )


def xfrm(netns: str, name: str = "xfrm7", if_id: int = 7, mtu: int = 1406) -> Link:
    return Link(
        netns=netns,
        name=name,
        kind="xfrm",
        local="",
        remote="",
        ikey=0,
        okey=0,
        mtu=mtu,
        alias=f"vtid:{netns}/{name}",
        up=False,
        if_id=if_id,
    )


def create(link: Link) -> CreateLink:
    return CreateLink(tunnel=f"{link.netns}/{link.name}", reason="test", link=link)


@asynccontextmanager
async def lab() -> AsyncIterator[Lab]:
    """Move the test into a new network namespace, and back."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(CLONE_NEWNET) == 0
    found = Lab()
    try:
        ip(
            "link set lo up",
            "link add eth0 type veth peer name eth1",
            "link set eth0 addrgenmode none",
            "link set eth1 addrgenmode none up",
            "address add 203.0.113.1/24 dev eth0",
            "link set eth0 up",
            "address add 2001:db8:1::1/32 dev eth0 nodad",
            f"netns add {found.inner}",
        )
        shell("until ip link show eth0 | grep -q LOWER_UP; do sleep 0.05; done")
        yield found
    finally:
        await found.unwatch()
        found.namespaces.close()
        shell(f"ip netns delete {found.inner}", check=False)
        assert libc.setns(before, CLONE_NEWNET) == 0
        os.close(before)
