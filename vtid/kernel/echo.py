"""Echo: probes through interfaces, and their answers. An edge.

    execute ─▶ thread of the namespace: sendmsg(2) ─▶ interface ─▶ peer
    ProbeAnswered ◀─ event loop: recvmsg(2) ◀──────────────────────┘

Rules of this file:

* One raw socket per namespace and family, opened with the first probe there: only then CAP_NET_RAW
  is needed. A packet chooses its interface by IP_PKTINFO; without one, the routing table would, and
  the packet might leave unencrypted, so that it is refused.
* DF is set, and neither side's idea of the path MTU counts (IP_PMTUDISC_PROBE): the interface's
  MTU does, and is raised for the time of one sendmsg(2) where the probe is larger.
* The threads are others than those that change links: no probe waits behind a thousand interfaces.
* An answer counts if it is to a request of ours, from the address that was asked, through the same
  interface and of the same size. ICMP errors are not read.
* A namespace that is lost is left at once (`leave`): nobody probes where no interface is.
* The number of requests that wait for their answer is bounded; the oldest are given up.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import time
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from vtid.kernel import icmp
from vtid.kernel import requests as asks
from vtid.kernel.errors import Failed
from vtid.kernel.links import find
from vtid.kernel.observe import TROUBLES
from vtid.kernel.raw import arrived_at, family_of, open_raw, send
from vtid.kernel.workers import Workers
from vtid.model.input import OpDone, OpFailed, ProbeAnswered
from vtid.netns import Namespaces, NetnsError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from vtid.kernel.apply import Worker
    from vtid.kernel.sockets import Requests
    from vtid.model.input import Input
    from vtid.model.operation import SendProbe
    from vtid.netns import NetnsThread

MOST_UNDER_WAY = 1 << 14
"""Requests that wait for an answer: more than 10,000 tunnels have at a time."""

SLICE = 64
"""Answers read before other tasks get their turn."""

_LARGEST = 1 << 16
_ANCILLARY = 64


class _Sent(NamedTuple):
    """A request that waits for its answer."""

    tunnel: str
    round: int
    size: int
    ifindex: int
    peer: str
    at: float


class _Line:
    """The sockets of one namespace, by family."""

    def __init__(self, thread: NetnsThread) -> None:
        self.thread = thread
        self.sockets: dict[int, socket.socket] = {}


class Echo:
    """Probes in all namespaces; `post` takes the answers, on the event loop.

    Where an interface's MTU is raised for a probe, its index and that MTU are put into `raised` of
    its namespace: there will be an event that is no news.
    """

    def __init__(
        self, post: Callable[[Input], None], raised: Callable[[str], set[tuple[int, int]]]
    ) -> None:
        self._post = post
        self._raised = raised
        self._namespaces = Namespaces()
        self._workers = Workers(self._namespaces)
        self._lines: dict[str, _Line] = {}
        self._identifier = secrets.randbits(16)
        self._secret = secrets.token_bytes(8)
        self._number = 0
        self._waiting: OrderedDict[int, _Sent] = OrderedDict()
        self._buffer = bytearray(_LARGEST)

    @property
    def writes(self) -> int:
        """Requests sent so far that changed an MTU."""
        return self._workers.writes

    def close(self) -> None:
        """Close sockets and threads."""
        for netns in tuple(self._lines):
            self._hang_up(netns)
        self._namespaces.close()

    def leave(self, netns: str) -> None:
        """Let go of a namespace that is gone: a socket or a thread in it would keep it alive.

        And with it its interfaces, so that none with their outer addresses could be made again.
        """
        self._hang_up(netns)
        self._namespaces.forget(netns)

    async def execute(self, ops: Sequence[SendProbe]) -> list[OpDone | OpFailed]:
        """Send probes, namespaces side by side; the results are in the order of `ops`."""
        places: dict[str, list[int]] = {}
        results: dict[int, OpDone | OpFailed] = {}
        for place, op in enumerate(ops):
            if op.ifindex > 0:
                places.setdefault(op.netns, []).append(place)
            else:
                words = f"echo request to {op.peer}: there is no interface to send it through"
                results[place] = OpFailed(op, words)
        parts = (self._send_in(netns, [ops[at] for at in mine]) for netns, mine in places.items())
        for mine, part in zip(places.values(), await asyncio.gather(*parts), strict=True):
            results.update(zip(mine, part, strict=True))
        return [results[place] for place in range(len(ops))]

    async def _send_in(self, netns: str, ops: Sequence[SendProbe]) -> list[OpDone | OpFailed]:
        try:
            line = self._line(netns)
            for family in {family_of(op.peer) for op in ops} - line.sockets.keys():
                await self._open(line, family)
            todo = [(op, self._numbered(op)) for op in ops]
            work = partial(_send_all, line.sockets, todo, self._raised(netns))
            return await self._workers.use(line.thread, work)
        except PermissionError:
            words = (
                "probes need CAP_NET_RAW: run vtid as root, under systemd with CAP_NET_RAW in "
                "AmbientCapabilities= and CapabilityBoundingSet=, in a container with --cap-add "
                "NET_RAW, or turn them off with `mtu = false` in [defaults.probe]"
            )
            return [OpFailed(op, words) for op in ops]
        except TROUBLES as error:
            return [OpFailed(op, str(error)) for op in ops]

    def _numbered(self, op: SendProbe) -> list[bytes]:
        """Return the requests of a probe, and wait for their answers from now on."""
        requests = []
        for size in op.sizes:
            self._number += 1
            sent = _Sent(op.tunnel, op.round, size, op.ifindex, op.peer, time.monotonic())
            self._waiting[self._number] = sent
            number = self._number
            family = family_of(op.peer)
            requests.append(icmp.request(family, self._identifier, self._secret, number, size))
        while len(self._waiting) > MOST_UNDER_WAY:
            self._waiting.popitem(last=False)
        return requests

    # --- sockets ------------------------------------------------------------------------------

    def _line(self, netns: str) -> _Line:
        thread = self._workers.thread(netns)
        line = self._lines.get(netns)
        if line is None or line.thread is not thread:
            self._hang_up(netns)
            line = self._lines[netns] = _Line(thread)
        return line

    async def _open(self, line: _Line, family: int) -> None:
        made = await line.thread.call(open_raw, family, self._identifier)
        if line not in self._lines.values():
            made.close()  # it would keep a namespace alive that was left meanwhile
            raise NetnsError("the namespace was left meanwhile; it is entered on the next try")
        if family in line.sockets:
            made.close()  # opened by another call meanwhile
            return
        line.sockets[family] = made
        asyncio.get_running_loop().add_reader(made, self._receive, family, made)

    def _hang_up(self, netns: str) -> None:
        if line := self._lines.pop(netns, None):
            for each in line.sockets.values():
                asyncio.get_running_loop().remove_reader(each)
                each.close()

    # --- answers ------------------------------------------------------------------------------

    def _receive(self, family: int, raw: socket.socket) -> None:
        for _ in range(SLICE):
            try:
                length, ancillary, _, address = raw.recvmsg_into([self._buffer], _ANCILLARY)
            except OSError:
                return  # nothing more, or an error about what is not ours
            packet = memoryview(self._buffer)[:length]
            if found := icmp.answer(family, self._identifier, self._secret, packet):
                self._answered(found, arrived_at(ancillary), address[0].partition("%")[0])

    def _answered(self, found: icmp.Answer, ifindex: int, peer: str) -> None:
        sent = self._waiting.get(found.number)
        if sent is None or (found.size, ifindex, peer) != (sent.size, sent.ifindex, sent.peer):
            return
        del self._waiting[found.number]
        rtt = time.monotonic() - sent.at
        self._post(ProbeAnswered(sent.tunnel, sent.round, sent.size, rtt))


# --- in the thread of the namespace ---------------------------------------------------------------


def _send_all(
    sockets: dict[int, socket.socket],
    todo: Sequence[tuple[SendProbe, list[bytes]]],
    raised: set[tuple[int, int]],
    worker: Worker,
) -> list[OpDone | OpFailed]:
    return [_send(sockets[family_of(op.peer)], op, data, raised, worker) for op, data in todo]


def _send(
    raw: socket.socket,
    op: SendProbe,
    requests: Sequence[bytes],
    raised: set[tuple[int, int]],
    worker: Worker,
) -> OpDone | OpFailed:
    try:
        for size, data in zip(op.sizes, requests, strict=True):
            once = partial(send, raw, op.ifindex, op.peer, data)
            try:
                once()
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
                _send_larger(worker.requests, raised, op.ifindex, size, once)
    except (*TROUBLES, Failed) as error:
        words = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        return OpFailed(op, f"echo request to {op.peer}: {words}")
    return OpDone(op)


def _send_larger(
    requests: Requests,
    raised: set[tuple[int, int]],
    ifindex: int,
    size: int,
    once: Callable[[], None],
) -> None:
    """Send what is larger than the interface's MTU, which is higher for just that time.

    The packet has passed the interface when sendmsg(2) returns; nothing looks at its MTU then.
    """
    there = find(requests, ifindex=ifindex)
    if there is None or not there.ours or there.mtu >= size:
        raise Failed("the interface is gone or another one")
    raised.add((ifindex, size))
    requests.write(asks.set_mtu(ifindex, size))
    try:
        once()
    finally:
        with suppress(*TROUBLES):  # the planner puts it right
            requests.write(asks.set_mtu(ifindex, there.mtu))
