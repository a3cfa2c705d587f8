"""Netlink: what a kernel may send, through every reader, the follower and the core."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

from tests.fuzz.core import Core
from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target, check_line
from tests.kernel.test_messages import GOLDEN
from tests.nft.test_counters import RULES
from vtid.kernel import dumps, icmp, messages, path_mtu, stats
from vtid.kernel import wire as nl
from vtid.kernel.follow import Follower
from vtid.kernel.raw import arrived_at
from vtid.kernel.sockets import Refused
from vtid.nft.counters import parse
from vtid.nft.library import NftError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from tests.fuzz.target import Take
    from vtid.kernel.wire import Message

DATAGRAMS = tuple(data for _, _, data in GOLDEN)

READERS: tuple[Callable[[Message], object], ...] = (
    lambda message: Refused(*messages.read_error(message)),
    messages.read_link,
    messages.read_mark,
    messages.leaving_ifindex,
    messages.read_address,
    path_mtu.read_path,
    path_mtu.read_learnt,
    messages.read_route,
    messages.read_netconf,
    stats.read_stats,
    stats.read_link_stats,
)
"""Each reads any message: which one a kernel sends for an answer is up to it."""

_FRESH = 512
"""Datagrams after which a follower begins anew, with a dump."""

_SECRET, _IDENTIFIER = b"secret!!", 7


@contextmanager
def events() -> Iterator[Take]:
    """Events of a namespace, and their effect."""
    core, follower, count = Core(), Follower("private"), 0

    def take(datagram: bytes) -> None:
        nonlocal follower, count
        if count % _FRESH == 0:
            follower = Follower("private")
            core.tell(follower.snapshot(dumps.Dump(DATAGRAMS, DATAGRAMS, DATAGRAMS)))
        count += 1
        inputs = follower.feed(datagram)
        follower.take_doubtful()
        for event in inputs:
            core.world.state.apply(event, core.world.now)
        core.world.state.work(core.world.now)

    yield take


@contextmanager
def answers() -> Iterator[Take]:
    """The answers to requests, and dumps."""

    def take(datagram: bytes) -> None:
        with suppress(nl.MessageError):
            for message in nl.split(datagram):
                for read in READERS:
                    with suppress(nl.MessageError):
                        read(message)
        dump = (datagram,)
        Follower("private").snapshot(dumps.Dump(dump, dump, dump))
        list(dumps.read_stats(dump))
        dumps.read_leaving(dump)

    yield take


@contextmanager
def echoes() -> Iterator[Take]:
    """Echo replies, whose senders are anywhere."""

    def take(packet: bytes) -> None:
        icmp.answer(4, _IDENTIFIER, _SECRET, packet)
        icmp.answer(6, _IDENTIFIER, _SECRET, packet)
        assert arrived_at([(1, 1, packet)]) == 0

    yield take


def make_datagram(random: Random) -> bytes:
    return mutated(random, DATAGRAMS)


def _echo_packets() -> tuple[bytes, ...]:
    six = bytearray(icmp.request(6, _IDENTIFIER, _SECRET, 1, 1280))
    four = bytearray(icmp.request(4, _IDENTIFIER, _SECRET, 1, 576))
    six[0], four[0] = icmp.ECHO_REPLY6, icmp.ECHO_REPLY4
    header = b"\x45" + bytes(19)
    return bytes(six), header + bytes(four), header[:1]


_ECHOES = _echo_packets()


def make_echo(random: Random) -> bytes:
    return mutated(random, _ECHOES)


def make_text(random: Random) -> bytes:
    return mutated(random, (b"XfrmInError             \t0\nXfrmInBufferError\t12\n",))


@contextmanager
def proc() -> Iterator[Take]:
    """/proc/net/xfrm_stat."""

    def take(text: bytes) -> None:
        found = stats.read_xfrm_stat(text.decode(errors="replace"))
        assert all(isinstance(cast("object", count), int) for count in found.values())

    yield take


def make_rules(random: Random) -> bytes:
    return mutated(random, (RULES,))


@contextmanager
def rules() -> Iterator[Take]:
    """nftables' list of the clamp's rules."""

    def take(datagram: bytes) -> None:
        try:
            counted, _ = parse(datagram)
        except NftError as error:
            check_line(str(error))
        else:
            assert all(0 <= count < 1 << 70 for count in counted.values())

    yield take


TARGETS = (
    Target("rules of nftables", 60, make_rules, rules),
    Target("netlink events", 300, make_datagram, events),
    Target("netlink answers", 40, make_datagram, answers),
    Target("echo replies", 100, make_echo, echoes),
    Target("xfrm_stat", 30, make_text, proc),
)
