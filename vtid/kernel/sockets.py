"""Edge: rtnetlink sockets, one for requests in a namespace's thread, one for its events.

Rules of this file:

* A request waits for its answer in the thread; the kernel does its work inside send(2).
* `Refused` is the one error of a request: the kernel's number and words.
* Events have a socket of their own with a large buffer: a burst of links overruns the default.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from vtid.kernel import messages
from vtid.kernel import wire as nl
from vtid.model.link import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vtid.kernel.wire import Request

T = TypeVar("T")

RECEIVE_BUFFER = 1 << 16
"""Bytes of one recv(2): the kernel fills up to 32 KiB of a dump into it."""

EVENT_BUFFER = 32 << 20
"""Bytes of events the kernel keeps for us: about 7,000 links made at once."""

ANSWER_BUFFER = 1 << 20
"""Bytes of answers the kernel keeps for us: a datagram of requests is answered before we read."""

AT_ONCE = 64
"""Requests in one datagram, twice as many where each has another that asks for what it made.

Their answers fit into the buffer, also where it may not be widened: 64 that are refused, and 64
interfaces, take 200 KB of 425.
"""

DUMP_TRIES = 8
"""How often a dump that something changed under (NLM_F_DUMP_INTR) is asked for again."""

# linux/netlink.h, asm-generic/socket.h
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33

# linux/rtnetlink.h
RTMGRP_LINK = 0x1
RTMGRP_IPV4_IFADDR = 0x10
RTMGRP_IPV4_ROUTE = 0x40
RTMGRP_IPV6_IFADDR = 0x100
RTMGRP_IPV6_ROUTE = 0x400
RTNLGRP_IPV4_NETCONF = 24
RTNLGRP_IPV6_NETCONF = 25
LINK_EVENTS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR
SETTING_EVENTS = 1 << (RTNLGRP_IPV4_NETCONF - 1) | 1 << (RTNLGRP_IPV6_NETCONF - 1)
ROUTE_EVENTS = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE


def bpf(code: int, value: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    """One instruction of a classic BPF program (linux/filter.h, struct sock_filter)."""
    return struct.pack("=HBBI", code, jump_true, jump_false, value)


_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _LOAD_LENGTH = 0x20, 0x28, 0x30, 0x80
_JUMP_IF_EQUAL, _JUMP_IF_GREATER, _JUMP_IF_SET, _RETURN = 0x15, 0x25, 0x45, 0x06
_NLMSG_TYPE, _NLMSG_FLAGS, _NLMSG_PID = 4, 6, 12
_RTM_FAMILY, _RTM_DST_LEN, _RTM_PROTOCOL, _RTM_TYPE = 16, 17, 21, 23
_RTA_DST = 40
"""Offsets in a message: of nlmsghdr, of rtmsg behind it, and of what follows RTA_TABLE."""

_ONE_SETTING = nl.HEADER.size + nl.NETCONF.size + 2 * (nl.ATTRIBUTE.size + nl.S32.size)
"""Bytes of an RTM_NEWNETCONF about a change: the interface and what changed."""

_LONGEST_ADVERTISED = 126
"""Bits of a prefix with a router and hosts. Longer ones are those of addresses, mostly tunnels'."""

_LINK_LOCAL = 0xFE80
"""Begin of fe80::/64, which routers do not advertise (RFC 4862, section 5.5.3)."""

_PASS, _DROP = bpf(_RETURN, 0xFFFFFFFF), bpf(_RETURN, 0)

# BPF reads numbers in network byte order
_ALL_BUT_ROUTES = (
    bpf(_LOAD_HALF, _NLMSG_TYPE),
    bpf(_JUMP_IF_EQUAL, socket.htons(nl.RTM_NEWROUTE), 7),
    bpf(_JUMP_IF_EQUAL, socket.htons(nl.RTM_DELROUTE), 6),
    bpf(_JUMP_IF_EQUAL, socket.htons(nl.RTM_DELNETCONF), 4),
    bpf(_JUMP_IF_EQUAL, socket.htons(nl.RTM_NEWNETCONF), 0, 2),
    bpf(_LOAD_LENGTH, 0),
    bpf(_JUMP_IF_GREATER, _ONE_SETTING, 1),
    _PASS,
    _DROP,
)
"""Everything except the settings that an interface begins and ends with; routes go on behind it."""

OUR_ROUTES = (
    *_ALL_BUT_ROUTES,
    bpf(_LOAD_BYTE, _RTM_PROTOCOL),
    bpf(_JUMP_IF_EQUAL, PROTOCOL, 2),
    bpf(_LOAD_HALF, _NLMSG_FLAGS),
    bpf(_JUMP_IF_SET, socket.htons(nl.NLM_F_REPLACE), 0, 1),
    _PASS,
    _DROP,
)
"""Of routes, ours, and those of others that replace one: it may be ours."""

PATHS = (
    *_ALL_BUT_ROUTES,
    bpf(_LOAD_BYTE, _RTM_TYPE),
    bpf(_JUMP_IF_EQUAL, nl.RTN_ANYCAST, 14),
    bpf(_JUMP_IF_EQUAL, nl.RTN_MULTICAST, 13),
    bpf(_LOAD_BYTE, _RTM_PROTOCOL),
    bpf(_JUMP_IF_EQUAL, nl.RTPROT_KERNEL, 0, 10),
    bpf(_LOAD_WORD, _NLMSG_PID),
    bpf(_JUMP_IF_EQUAL, 0, 0, 8),
    bpf(_LOAD_BYTE, _RTM_FAMILY),
    bpf(_JUMP_IF_EQUAL, nl.AF_INET, 7),
    bpf(_LOAD_BYTE, _RTM_TYPE),
    bpf(_JUMP_IF_EQUAL, nl.RTN_LOCAL, 5),
    bpf(_LOAD_BYTE, _RTM_DST_LEN),
    bpf(_JUMP_IF_GREATER, _LONGEST_ADVERTISED, 3),
    bpf(_LOAD_HALF, _RTA_DST),
    bpf(_JUMP_IF_EQUAL, _LINK_LOCAL, 1),
    _PASS,
    _DROP,
)
"""Of routes, those that may lead to a peer and that do not merely follow an address.

The kernel makes some by itself with each address, of which it tells as well. Those that a program
makes in its name (NetworkManager) have the number of that program's socket. Of IPv6, the kernel
makes routes without an address, too: of the prefixes that a router advertises.
"""


class Iproute(Protocol):
    """What we use of pyroute2's IPRoute, which has no types of its own for it."""

    def get_netnsid(self, *, pid: int) -> dict[str, int]:
        """RTM_GETNSID."""

    def set_netnsid(self, *, pid: int) -> object:
        """RTM_NEWNSID."""

    def close(self) -> None:
        """Close the socket."""


class Refused(Exception):  # noqa: N818 - reads as what the kernel did
    """The kernel refused a request."""

    def __init__(self, number: int, words: str = "") -> None:
        reason = os.strerror(number)
        super().__init__(f"{reason} ({words})" if words else reason)
        self.number = number


class Requests:
    """Sockets for requests in one namespace; made and used in its thread only."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        _widen(self._socket, ANSWER_BUFFER)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        self._seq = 0
        self.writes = 0

    def close(self) -> None:
        """Close the sockets."""
        self._socket.close()
        if "iproute" in self.__dict__:
            self.iproute.close()

    def write(self, request: Request) -> None:
        """Send a request that changes something, and wait for its acknowledgement."""
        self.writes += 1
        self._send(request)
        for message in self._answers():
            _raise_error(message)
            return

    def write_all(self, requests: Sequence[Request]) -> list[Refused | None]:
        """Send requests that change something; return, in order, why any was refused.

        Of a datagram the last alone is acknowledged: the kernel works in order, and tells of each
        request that it refuses. `writes` counts what was not.
        """
        found: list[Refused | None] = []
        for chunk in _chunks(requests):
            answers = self._exchange(chunk, quiet=len(chunk) - 1)
            found += [_refusal(answers.get(place)) for place in range(len(chunk))]
        self.writes += found.count(None)
        return found

    def write_and_get(
        self,
        writes: Sequence[Request],
        reads: Sequence[Request],
        read: Callable[[nl.Message], T],
    ) -> list[tuple[Refused | None, T | Refused]]:
        """Send requests that change something, each with one that has an answer; as few datagrams.

        Return, in order, why any was refused, and the answer.
        """
        found: list[tuple[Refused | None, T | Refused]] = []
        for some, asked in zip(_chunks(writes), _chunks(reads), strict=True):
            answers = self._exchange([*some, *asked], quiet=len(some))
            for place in range(len(some)):
                refused = _refusal(answers.get(place))
                self.writes += refused is None
                found.append((refused, _answer(answers.get(len(some) + place), read)))
        return found

    def get_all(
        self, requests: Sequence[Request], read: Callable[[nl.Message], T]
    ) -> list[T | Refused]:
        """Send requests with a single answer each; return the answers in order."""
        found: list[T | Refused] = []
        for chunk in _chunks(requests):
            answers = self._exchange(chunk)
            found += [_answer(answers.get(place), read) for place in range(len(chunk))]
        return found

    def get(self, request: Request, read: Callable[[nl.Message], T]) -> T:
        """Send a request with a single answer."""
        self._send(request)
        message = self._answers()[0]
        _raise_error(message)
        return read(message)

    def dump(self, request: Request) -> list[bytes]:
        """Return the datagrams of a dump; again, a few times, if it was changed meanwhile."""
        for _ in range(DUMP_TRIES):
            datagrams, consistent = self._dump(request)
            if consistent:
                break
        return datagrams

    @cached_property
    def iproute(self) -> Iproute:
        """pyroute2 on a socket of this namespace, for namespace ids."""
        from vtid.kernel import pyroute  # noqa: PLC0415 - many gateways need none

        return cast("Iproute", pyroute.IPRoute(ext_ack=True))  # type: ignore[no-untyped-call]

    def ask(self, call: Callable[[Iproute], T], *, write: bool = False) -> T:
        """Ask pyroute2; its errors become `Refused`."""
        from vtid.kernel import pyroute  # noqa: PLC0415 - as above

        self.writes += write
        try:
            return call(self.iproute)
        except pyroute.NetlinkError as error:
            words = str(error.args[1]) if len(error.args) > 1 else ""
            known = words == os.strerror(error.code)
            raise Refused(error.code, "" if known else words) from error

    def _exchange(self, requests: Sequence[Request], quiet: int = 0) -> dict[int, nl.Message]:
        """Send requests as one datagram; return the answers by place, when the last has come.

        The first, so many as are to be quiet, are answered only if they are refused.
        """
        first = self._seq + 1
        self._seq += len(requests)
        loud = first + quiet
        messages = (r.encode(seq, quiet=seq < loud) for seq, r in enumerate(requests, first))
        self._socket.send(b"".join(messages))
        answers: dict[int, nl.Message] = {}
        while len(requests) - 1 not in answers:
            for message in nl.split(self._socket.recv(RECEIVE_BUFFER)):
                if message.seq >= first:
                    answers[message.seq - first] = message
        return answers

    def _send(self, request: Request) -> None:
        self._seq += 1
        self._socket.send(request.encode(self._seq))

    def _answers(self) -> list[nl.Message]:
        """Messages of the next datagram that answers the last request."""
        while True:
            found = [
                message
                for message in nl.split(self._socket.recv(RECEIVE_BUFFER))
                if message.seq == self._seq
            ]
            if found:
                return found

    def _dump(self, request: Request) -> tuple[list[bytes], bool]:
        self._send(request)
        datagrams, consistent = [], True
        while True:
            messages = self._answers()
            datagrams.append(messages[0].data)
            consistent &= not any(message.flags & nl.NLM_F_DUMP_INTR for message in messages)
            if messages[-1].kind == nl.NLMSG_DONE:
                return datagrams, consistent
            _raise_error(messages[-1])


def open_events(groups: int, *, only_our_routes: bool = False) -> socket.socket:
    """Socket that the kernel sends events to; opened in the namespace's thread."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    _widen(events, EVENT_BUFFER)
    attach_filter(events, OUR_ROUTES if only_our_routes else PATHS)
    events.settimeout(0)
    events.bind((0, groups))
    return events


def _widen(channel: socket.socket, size: int) -> None:
    """Set a receive buffer's size; without CAP_NET_ADMIN net.core.rmem_max is the limit."""
    try:
        channel.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except PermissionError:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def _chunks(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    return (requests[at : at + AT_ONCE] for at in range(0, len(requests), AT_ONCE))


def attach_filter(events: socket.socket, program: Sequence[bytes]) -> None:
    """Make the kernel drop messages before it queues them (socket(7), SO_ATTACH_FILTER)."""
    code = ctypes.create_string_buffer(b"".join(program))
    fprog = struct.pack("HL", len(program), ctypes.addressof(code))
    events.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)


def read_event(events: socket.socket) -> bytes | None:
    """Next datagram of the kernel, None if there is none; OSError ENOBUFS after an overrun."""
    while True:
        try:
            data, (port, _) = events.recvfrom(RECEIVE_BUFFER)
        except BlockingIOError:
            return None
        if port == 0:  # others with our privileges could write to us
            return data


def _answer(message: nl.Message | None, read: Callable[[nl.Message], T]) -> T | Refused:
    if message is None:
        raise nl.MessageError("an answer is missing")
    return _refusal(message) or read(message)


def _refusal(message: nl.Message | None) -> Refused | None:
    if message is None or message.kind != nl.NLMSG_ERROR:
        return None
    number, words = messages.read_error(message)
    return Refused(number, words) if number else None


def _raise_error(message: nl.Message) -> None:
    if refused := _refusal(message):
        raise refused
