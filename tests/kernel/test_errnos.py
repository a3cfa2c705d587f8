"""Every error number to every request: one line that names the thing, and a way on afterwards.

linux/errno.h has 133 of them, and any may come from a module, a security policy or a later kernel.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.lab import vti
from tests.kernel.refusing import RefusingKernel
from vtid.kernel import apply, observe
from vtid.kernel import wire as nl
from vtid.kernel.workers import Workers
from vtid.model.input import Input, NetnsLost, OpDone, OpFailed
from vtid.model.link import Route
from vtid.model.operation import (
    AddAddress,
    AddRoute,
    CreateLink,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    Op,
    ProbeUnderlay,
    SetLink,
    SetUp,
)
from vtid.netns import Namespaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtid.kernel.apply import Answer

ERRNOS = sorted(errno.errorcode)

LINK = vti("p")
OTHER = vti("p", name="vti8", ikey=8)
PLACE: dict[str, Any] = {"tunnel": "p/vti7", "reason": "test", "netns": "p"}
ON_IT: dict[str, Any] = {**PLACE, "interface": LINK.name}
ROUTE = Route("10.1.0.0/16", 5)

CREATE = CreateLink(tunnel="p/vti7", reason="test", link=LINK)
ADDRESS = AddAddress(**ON_IT, address="2001:db8::1/127")
WAY = AddRoute(**ON_IT, route=ROUTE)
MTU = SetLink(tunnel="p/vti7", reason="test", link=vti("p", mtu=1300), ifindex=2, changes=("mtu",))

CASES: dict[str, tuple[Op, tuple[int, ...], tuple[Op, ...]]] = {
    "create": (CREATE, (nl.RTM_GETLINK, nl.RTM_NEWLINK), ()),
    "set": (MTU, (nl.RTM_GETLINK, nl.RTM_NEWLINK), (CREATE,)),
    "up": (SetUp(**PLACE, name=LINK.name), (nl.RTM_GETLINK, nl.RTM_SETLINK), (CREATE,)),
    "add address": (ADDRESS, (nl.RTM_GETLINK, nl.RTM_NEWADDR, nl.RTM_GETADDR), (CREATE,)),
    "delete address": (
        DeleteAddress(**ON_IT, address=ADDRESS.address),
        (nl.RTM_GETLINK, nl.RTM_DELADDR),
        (CREATE, ADDRESS),
    ),
    "add route": (WAY, (nl.RTM_GETLINK, nl.RTM_NEWROUTE, nl.RTM_GETROUTE), (CREATE,)),
    "delete route": (
        DeleteRoute(**ON_IT, route=ROUTE),
        (nl.RTM_GETLINK, nl.RTM_DELROUTE),
        (CREATE, WAY),
    ),
    "delete": (
        DeleteLink(**PLACE, name=LINK.name, ifindex=2),
        (nl.RTM_GETLINK, nl.RTM_DELLINK),
        (CREATE,),
    ),
}
"""An operation, the requests that it may take, and what has to be there before."""

GONE = {
    nl.RTM_DELADDR: {errno.EADDRNOTAVAIL, errno.ENODEV},
    nl.RTM_DELROUTE: {errno.ESRCH, errno.ENODEV},
    nl.RTM_DELLINK: {errno.ENODEV},
}
"""Answers that mean that there is nothing left to do."""


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> RefusingKernel:
    played = RefusingKernel()
    monkeypatch.setattr(apply, "Requests", lambda: played)
    return played


def run(ops: Sequence[Op]) -> Answer:
    return apply.Worker().run(ops)


def run_one(op: Op) -> OpDone | OpFailed:
    (result,) = run([op]).results
    return result


@pytest.mark.parametrize("how", ["refuses", "fails"])
@pytest.mark.parametrize("case", CASES)
def test_an_error_names_its_thing_and_leaves_a_way_on(
    kernel: RefusingKernel, case: str, how: str
) -> None:
    op, kinds, before = CASES[case]
    for number in ERRNOS:
        for kind in kinds:
            kernel.forget()
            assert all(isinstance(each, OpDone) for each in run(before).results)
            getattr(kernel, how)[kind] = number
            check(run_one(op), number)
            getattr(kernel, how).clear()
            assert isinstance(run_one(op), OpDone), errno.errorcode[number]


def check(result: OpDone | OpFailed, number: int) -> None:
    """An operation that did not need the request succeeds, and so may one whose object is gone."""
    if isinstance(result, OpDone):
        return
    name = errno.errorcode[number]
    assert result.error.isprintable(), name
    assert result.error.startswith("vti7 in namespace 'p'"), (name, result.error)
    assert len(result.error) > len("vti7 in namespace 'p'") + 5


@pytest.mark.parametrize("case", CASES)
def test_a_refusal_is_never_taken_for_success(kernel: RefusingKernel, case: str) -> None:
    op, kinds, before = CASES[case]
    needed = kinds[1]
    for number in set(ERRNOS) - GONE.get(needed, set()):
        kernel.forget()
        run(before)
        kernel.refuses[needed] = number
        assert isinstance(run_one(op), OpFailed), errno.errorcode[number]


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.__getitem__)
def test_a_path_that_cannot_be_looked_up_is_an_answer(kernel: RefusingKernel, number: int) -> None:
    op = ProbeUnderlay(tunnel="p/vti7", reason="", local="192.0.2.1", remote="198.51.100.1")
    kernel.refuses[nl.RTM_GETROUTE] = number
    answer = run([op])
    (seen,) = answer.seen
    assert answer.results == [OpDone(op=op, changed=False)]
    assert seen.mtu == 0
    assert seen.error.startswith("no route from 192.0.2.1 to 198.51.100.1: ")
    assert seen.error.isprintable()
    kernel.refuses.clear()
    (seen,) = run([op]).seen
    assert (seen.mtu, seen.interface, seen.error) == (1500, "eth0", "")


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.__getitem__)
@pytest.mark.usefixtures("kernel")
def test_a_setting_that_cannot_be_written_is_named_and_written_later(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Of /proc/sys/net/ipv6: netlink has no request for them."""
    link = replace(LINK, sysctls=(("ipv6.hop_limit", 77),))
    create = replace(CREATE, link=link)
    written: list[str] = []

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", refuse)
        result = run_one(create)
    assert isinstance(result, OpFailed)
    assert result.error.isprintable()
    assert "vti7 in namespace 'p': /proc/sys/net/ipv6/conf/vti7/hop_limit: " in result.error
    assert os.strerror(number) in result.error
    monkeypatch.setattr(Path, "write_text", lambda _, text: written.append(text))
    assert isinstance(run_one(create), OpDone)
    assert written == ["77"]


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.__getitem__)
async def test_events_that_cannot_be_read_are_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """But for ENOBUFS of the socket itself, after which all is listed (tests/chaos)."""
    tries = threading.Semaphore(0)
    told: asyncio.Queue[Input] = asyncio.Queue()
    left: list[str] = []
    monkeypatch.setattr(observe, "FIRST_RETRY", 0.0)

    def refuse(*_: object, **__: object) -> None:
        tries.release()
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(observe, "open_events", refuse)
    namespaces = Namespaces()
    watching = asyncio.create_task(
        observe.Watch("", Workers(namespaces), told.put_nowait).run(left.append)
    )
    lost = await told.get()
    assert left == [""]
    assert await asyncio.to_thread(lambda: all(tries.acquire(timeout=30) for _ in range(3)))
    watching.cancel()
    namespaces.close()
    assert isinstance(lost, NetnsLost)
    assert os.strerror(number) in lost.reason
    assert told.empty(), "the same reason again is no news"


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.__getitem__)
def test_one_tunnel_that_is_refused_holds_up_no_other(kernel: RefusingKernel, number: int) -> None:
    """Of two links in one call, one has an address that the kernel refuses."""
    other = CreateLink(tunnel="p/vti8", reason="test", link=OTHER)
    up = SetUp(tunnel="p/vti8", reason="test", netns="p", name=OTHER.name)
    kernel.refuses[nl.RTM_NEWADDR] = number
    results = run([CREATE, ADDRESS, other, up]).results
    assert [type(each) for each in results] == [OpDone, OpFailed, OpDone, OpDone]
