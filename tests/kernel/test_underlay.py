"""Lookups of paths: how often the kernel is asked, and what is said of those it does not know."""

from __future__ import annotations

import errno
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from tests.kernel.refusing import RefusingKernel
from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.underlay import probe_all
from vtid.model.input import UnderlaySeen
from vtid.model.operation import ProbeUnderlay

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vtid.kernel.sockets import Refused
    from vtid.kernel.wire import Request

T = TypeVar("T")

HERE, PEER, OTHER = "192.0.2.1", "192.0.2.2", "2001:db8::2"


class CountingKernel(RefusingKernel):
    """Counts what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[int] = Counter()

    def get_all(
        self, requests: Sequence[Request], read: Callable[[nl.Message], T]
    ) -> list[T | Refused]:
        self.asked.update(request.kind for request in requests)
        return super().get_all(requests, read)


def look_up(kernel: CountingKernel, *peers: str) -> list[UnderlaySeen]:
    ops = [
        ProbeUnderlay(tunnel=f"vti{number}", reason="", local=HERE, remote=peer)
        for number, peer in enumerate(peers)
    ]
    played: Any = kernel
    return probe_all(played, ops)


def test_a_path_is_looked_up_once_for_all_tunnels_that_ask() -> None:
    kernel = CountingKernel()
    seen = look_up(kernel, *[PEER] * 500, OTHER, *[PEER] * 500)
    assert seen == [UnderlaySeen(HERE, peer, 1500, "eth0") for peer in (PEER, OTHER)]
    assert kernel.asked[nl.RTM_GETROUTE] == 2


def test_a_path_without_route_is_told_with_its_ends() -> None:
    kernel = CountingKernel()
    kernel.refuses[nl.RTM_GETROUTE] = errno.ENETUNREACH
    (seen,) = look_up(kernel, PEER)
    assert (seen.mtu, seen.remote) == (0, PEER)
    assert seen.error.startswith(f"no route from {HERE} to {PEER}: ")


@pytest.mark.parametrize(
    ("peer", "asked_as_input"),
    [(PEER, False), (OTHER, True), ("fe7f::1", True), ("fe80::1", False), ("febf::1", False)],
)
def test_no_answer_names_a_source_for_which_the_kernel_looks_at_all_interfaces(
    peer: str, *, asked_as_input: bool
) -> None:
    local = "2001:db8::1" if ":" in peer else HERE
    loopback = nl.attribute(nl.RTA_IIF, nl.U32.pack(nl.LOOPBACK_IFINDEX))
    assert (loopback in asks.get_route(local, peer).body) is asked_as_input
