"""The edge against real nftables: in namespaces, with real SYNs through a forwarding one."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest

from vtid.model.input import ClampSnapshot, Input, OpDone, OpFailed
from vtid.model.link import Clamp
from vtid.model.operation import DeleteClamp, Op, SetClamp
from vtid.netns import Namespaces
from vtid.nft import client
from vtid.nft.client import Nft
from vtid.nft.ruleset import MAPS, NOT_IN_FORCE, Elements, apply, build

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

WAIT = 60.0
INSIDE, GATEWAY, OUTSIDE = "vtid-nft-in", "vtid-nft-gw", "vtid-nft-out"

IPV4, IPV6 = ("10.9.1.2", "10.9.2.2"), ("2001:db8:9:1::2", "2001:db8:9:2::2")
"""Inner and outer host, by family."""


def run(command: str) -> str:
    done = subprocess.run(command.split(), check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def netns() -> Iterator[str]:
    run(f"ip netns add {GATEWAY}")
    try:
        yield GATEWAY
    finally:
        run(f"ip netns delete {GATEWAY}")


@pytest.fixture
def path(netns: str) -> Iterator[str]:
    """INSIDE -- lan GATEWAY t1 -- OUTSIDE, with both families."""
    try:
        for number, (far, name) in enumerate(((INSIDE, "lan"), (OUTSIDE, "t1")), 1):
            run(f"ip netns add {far}")
            run(f"ip -n {netns} link add {name} type veth peer name host netns {far}")
            run(f"ip -n {far} link set lo up")
            for where, device, host in ((netns, name, 1), (far, "host", 2)):
                run(f"ip -n {where} link set {device} up")
                run(f"ip -n {where} address add 10.9.{number}.{host}/24 dev {device}")
                run(f"ip -n {where} address add 2001:db8:9:{number}::{host}/64 dev {device} nodad")
            run(f"ip -n {far} route add default via 10.9.{number}.1")
            run(f"ip -n {far} route add default via 2001:db8:9:{number}::1")
        for key in ("ipv4.conf.all", "ipv6.conf.all"):
            run(f"ip netns exec {netns} sysctl -qw net.{key}.forwarding=1")
        yield netns
    finally:
        for far in (INSIDE, OUTSIDE):
            subprocess.run(["ip", "netns", "delete", far], check=False)


class Watched:
    def __init__(self) -> None:
        self.posted: list[Input] = []
        self.nft = Nft(Namespaces(), self.posted.append)

    async def until(self, snapshot: ClampSnapshot) -> None:
        deadline = time.monotonic() + WAIT
        while snapshot not in self.posted:
            assert time.monotonic() < deadline, self.posted
            await asyncio.sleep(0.02)
        self.posted.clear()


@asynccontextmanager
async def watched(netns: str) -> AsyncIterator[Watched]:
    one = Watched()
    task = asyncio.create_task(one.nft.watch(netns))
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        one.nft._namespaces.close()


def put(interface: str, mss4: int = 1366, mss6: int = 1346, netns: str = GATEWAY) -> SetClamp:
    clamp = Clamp(mss4, mss6)
    return SetClamp(tunnel="t", reason="r", netns=netns, interface=interface, clamp=clamp)


def delete(interface: str) -> DeleteClamp:
    return DeleteClamp(tunnel="t", reason="r", netns=GATEWAY, interface=interface)


def done(*ops: Op, changed: bool = True) -> list[OpDone | OpFailed]:
    return [OpDone(op, changed=changed) for op in ops]


def load(text: str) -> None:
    nft = ("ip", "netns", "exec", GATEWAY, "nft", "-f", "-")
    subprocess.run(nft, check=True, input=text, text=True)


def ruleset() -> str:
    return run(f"ip netns exec {GATEWAY} nft list ruleset")


@pytest.mark.usefixtures("netns")
async def test_elements_come_and_go_with_the_table() -> None:
    async with watched(GATEWAY) as vtid:
        await vtid.until(ClampSnapshot(GATEWAY, ()))
        first, second = put("vti1"), put("vti2", 1300, 1280)
        assert await vtid.nft.execute([first, second]) == done(first, second)
        assert vtid.nft.transactions == 1
        assert '"vti1" : 1366' in ruleset()

        assert await vtid.nft.execute([first, second]) == done(first, second, changed=False)
        assert vtid.nft.transactions == 1

        lower = put("vti1", 1200, 1180)
        assert await vtid.nft.execute([lower]) == done(lower)
        assert '"vti1" : 1200' in ruleset()

        [gone] = await vtid.nft.execute([delete("vti9")])
        assert gone == OpDone(delete("vti9"), changed=False)
        await vtid.nft.execute([delete("vti1"), delete("vti2")])
        assert (ruleset(), vtid.nft.transactions) == ("", 3)
        assert vtid.posted == []


@pytest.mark.usefixtures("netns")
async def test_adopted_without_a_write() -> None:
    async with watched(GATEWAY) as vtid:
        await vtid.nft.execute([put("vti1")])
    async with watched(GATEWAY) as vtid:
        await vtid.until(ClampSnapshot(GATEWAY, (("vti1", Clamp(1366, 1346)),)))
        assert await vtid.nft.execute([put("vti1")]) == done(put("vti1"), changed=False)
        assert vtid.nft.transactions == 0


@pytest.mark.usefixtures("netns")
async def test_one_bad_element_does_not_stop_the_others() -> None:
    async with watched(GATEWAY) as vtid:
        ops = [put("vti1"), put('a"b'), put("vti2", 0), put("vti3"), put("vti4", netns="nowhere")]
        results = await vtid.nft.execute(ops)
        assert [type(result) for result in results] == [
            OpDone,
            OpFailed,
            OpFailed,
            OpDone,
            OpFailed,
        ]
        assert "namespace 'nowhere' does not exist" in str(results[-1])
        assert '"vti3" : 1366' in ruleset()


@pytest.mark.usefixtures("netns")
async def test_changes_by_another_program_are_posted() -> None:
    async with watched(GATEWAY) as vtid:
        await vtid.until(ClampSnapshot(GATEWAY, ()))
        await vtid.nft.execute([put("vti1")])
        run(f"ip netns exec {GATEWAY} nft add table inet firewall")
        await vtid.until(ClampSnapshot(GATEWAY, (("vti1", Clamp(1366, 1346)),)))
        run(f"ip netns exec {GATEWAY} nft flush ruleset")
        await vtid.until(ClampSnapshot(GATEWAY, ()))
        assert await vtid.nft.execute([put("vti1")]) == done(put("vti1"))

        run(f"ip netns exec {GATEWAY} nft flush chain inet vtid clamp")
        await vtid.until(ClampSnapshot(GATEWAY, (("vti1", NOT_IN_FORCE),)))
        run(f"ip netns exec {GATEWAY} nft add table inet firewall")
        assert await vtid.nft.execute([put("vti1")]) == done(put("vti1"))
        assert "@mss6_in" in ruleset()
        assert "table inet firewall" in ruleset()


@pytest.mark.usefixtures("netns")
async def test_change_behind_the_back_is_no_obstacle_and_still_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "COALESCE", 0.5)
    async with watched(GATEWAY) as vtid:
        await vtid.until(ClampSnapshot(GATEWAY, ()))
        await vtid.nft.execute([put("vti1"), put("vti2")])
        run(f"ip netns exec {GATEWAY} nft delete element inet vtid mss4_in {{ vti1 }}")
        run(f"ip netns exec {GATEWAY} nft delete element inet vtid mss4_out {{ vti2 }}")
        assert await vtid.nft.execute([put("vti1", 1300, 1280)]) == done(put("vti1", 1300, 1280))
        both = (("vti1", Clamp(1300, 1280)), ("vti2", NOT_IN_FORCE))
        await vtid.until(ClampSnapshot(GATEWAY, both))


@pytest.mark.usefixtures("netns")
async def test_many() -> None:
    ops = [put(f"v{number}") for number in range(5000)]
    async with watched(GATEWAY) as vtid:
        assert await vtid.nft.execute(ops) == done(*ops)
        assert vtid.nft.transactions == 1
        run(f"ip netns exec {GATEWAY} nft add rule inet vtid clamp accept")
        changed = put("v7", 1300, 1280)
        assert await vtid.nft.execute([changed]) == done(changed)
        assert await vtid.nft.execute([ops[8]]) == done(ops[8], changed=False)
        assert ruleset().count(" : 1366") == 2 * 4999
        await vtid.nft.execute([delete(f"v{number}") for number in range(5000)])
        assert ruleset() == ""


async def test_namespace_that_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RETRY", 0.1)
    monkeypatch.setattr(client, "LOOK_AGAIN", 0.2)
    async with watched(GATEWAY) as vtid:
        for _ in range(2):
            run(f"ip netns add {GATEWAY}")
            await vtid.until(ClampSnapshot(GATEWAY, ()))
            run(f"ip netns delete {GATEWAY}")


# --- real SYNs -----------------------------------------------------------------------------------


@contextmanager
def inside(netns: str) -> Iterator[Callable[[int, int, int], socket.socket]]:
    """Open sockets in a namespace; they stay there."""
    namespaces = Namespaces()

    def open_socket(family: int, kind: int, protocol: int = 0) -> socket.socket:
        call = namespaces.thread(netns).call(socket.socket, family, kind, protocol)
        return asyncio.run(call)

    try:
        yield open_socket
    finally:
        namespaces.close()


def segment_sizes(family: int, source: str, target: str, start: str, end: str) -> tuple[int, int]:
    """Connect from `start` to `end`: MSS of the SYN as it arrives, and of the SYN-ACK."""
    with inside(start) as near, inside(end) as far:
        server, raw = far(family, socket.SOCK_STREAM, 0), far(family, socket.SOCK_RAW, 6)
        answers = near(family, socket.SOCK_RAW, 6)
        caller = near(family, socket.SOCK_STREAM, 0)
        with server, raw, answers, caller:
            for one in (raw, answers, caller):
                one.settimeout(WAIT)
            server.bind((target, 0))
            server.listen()
            caller.bind((source, 0))
            caller.connect((target, server.getsockname()[1]))
            return mss_of(raw, family), mss_of(answers, family)


def mss_of(raw: socket.socket, family: int) -> int:
    """MSS option (RFC 9293, kind 2) of the next segment with SYN."""
    while True:
        packet = raw.recv(65536)
        segment = packet[(packet[0] & 15) * 4 :] if family == socket.AF_INET else packet
        if segment[13] & 2:
            break
    options = segment[20 : (segment[12] >> 4) * 4]
    while options[0] != 2:
        options = options[1:] if options[0] == 1 else options[options[1] :]
    return int(struct.unpack_from("!H", options, 2)[0])


def all_sizes() -> dict[str, tuple[int, int]]:
    families = {"ipv4": (socket.AF_INET, IPV4), "ipv6": (socket.AF_INET6, IPV6)}
    sizes = {}
    for name, (family, (inner, outer)) in families.items():
        sizes[f"{name} out"] = segment_sizes(family, inner, outer, INSIDE, OUTSIDE)
        sizes[f"{name} in"] = segment_sizes(family, outer, inner, OUTSIDE, INSIDE)
    return sizes


@pytest.mark.usefixtures("path")
async def test_syn_and_answer_in_both_directions_and_families() -> None:
    free = {"ipv4 out": (1460, 1460), "ipv4 in": (1460, 1460)}
    free |= {"ipv6 out": (1440, 1440), "ipv6 in": (1440, 1440)}
    assert await asyncio.to_thread(all_sizes) == free

    async with watched(GATEWAY) as vtid:
        await vtid.nft.execute([put("t1"), put("t2", 1000, 1000)])
        clamped = {"ipv4 out": (1366, 1366), "ipv4 in": (1366, 1366)}
        clamped |= {"ipv6 out": (1346, 1346), "ipv6 in": (1346, 1346)}
        assert await asyncio.to_thread(all_sizes) == clamped

        await vtid.nft.execute([put("t1", 9000, 9000)])
        assert await asyncio.to_thread(all_sizes) == free


ACCEPTS = """
table inet early {
  chain c { type filter hook forward priority -200; policy accept; accept; }
}
table inet late {
  chain c { type filter hook forward priority 0; policy accept; tcp flags syn accept; }
}
"""

ANOTHER = """
table inet other {
  chain c { type filter hook forward priority %s; policy accept;
    tcp flags syn tcp option maxseg size set %d; }
}
"""


@pytest.mark.usefixtures("path")
async def test_the_smallest_size_counts_and_an_accept_does_not() -> None:
    async with watched(GATEWAY) as vtid:
        await vtid.nft.execute([put("t1")])
        clamped = (1366, 1366)
        load(ACCEPTS)
        assert (await asyncio.to_thread(all_sizes))["ipv4 out"] == clamped
        for priority in ("-200", "0"):
            load(ANOTHER % (priority, 1400))
            assert (await asyncio.to_thread(all_sizes))["ipv4 out"] == clamped
            run(f"ip netns exec {GATEWAY} nft delete table inet other")
            load(ANOTHER % (priority, 1200))
            sizes = await asyncio.to_thread(all_sizes)
            assert sizes["ipv4 out"] == (1200, 1200), "the smaller one wins, before ours and after"
            run(f"ip netns exec {GATEWAY} nft delete table inet other")


def syns(vtid: Watched) -> dict[str, int]:
    return dict(vtid.nft.clamped[GATEWAY].total)


@pytest.mark.usefixtures("path")
async def test_what_is_clamped_is_counted_also_over_a_new_table() -> None:
    async with watched(GATEWAY) as vtid:
        await vtid.nft.count(GATEWAY)
        await vtid.nft.execute([put("t1")])
        before = dict.fromkeys(MAPS, 0)
        for _ in range(2):
            await asyncio.to_thread(all_sizes)
            await vtid.nft.count(GATEWAY)
            now = syns(vtid)
            # a SYN one way and a SYN-ACK the other, of two connections; more are sent again
            assert all(now[name] >= before[name] + 2 for name in MAPS)
            before = now
            run(f"ip netns exec {GATEWAY} nft flush ruleset")
            assert await vtid.nft.execute([put("t1")]) == done(put("t1"))
            await vtid.nft.count(GATEWAY)
            assert syns(vtid) == before


@pytest.mark.usefixtures("path")
async def test_a_table_of_an_earlier_vtid_is_replaced_without_a_gap() -> None:
    elements: Elements = {name: {} for name in MAPS}
    apply(elements, {"t1": Clamp(1366, 1346), "t2": Clamp(1000, 1000)})
    former = build(elements).replace(" counter\n", "\n")
    assert former != build(elements)
    load(former)
    seen: list[dict[str, tuple[int, int]]] = []
    async with watched(GATEWAY) as vtid:
        await vtid.until(ClampSnapshot(GATEWAY, (("t1", NOT_IN_FORCE), ("t2", NOT_IN_FORCE))))
        end = threading.Event()
        connecting = asyncio.create_task(asyncio.to_thread(_connect_until, end, seen))
        await _more(seen, 1)
        second = put("t2", 1000, 1000)
        assert await vtid.nft.execute([put("t1")]) == done(put("t1"))
        assert await vtid.nft.execute([second]) == done(second, changed=False)
        await _more(seen, 2)
        end.set()
        await connecting
        assert vtid.nft.transactions == 1
    sizes = {size for one in seen for pair in one.values() for size in pair}
    assert sizes == {1366, 1346}


async def _more(seen: list[dict[str, tuple[int, int]]], count: int) -> None:
    """Wait until so many more have been seen."""
    enough = len(seen) + count
    deadline = time.monotonic() + WAIT
    while len(seen) < enough:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def _connect_until(end: threading.Event, seen: list[dict[str, tuple[int, int]]]) -> None:
    while not end.is_set():
        seen.append(all_sizes())
