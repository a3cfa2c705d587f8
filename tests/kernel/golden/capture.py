"""Print what a kernel with VTI says, one message a line: label, message type and hex.

    modprobe -a dummy ip_vti ip6_vti
    unshare -n python tests/kernel/golden/capture.py > tests/kernel/golden/linux-6.1.txt

As root. Namespace `outer` holds the outer addresses, `inner` the links that were made across.
"""

import asyncio
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

from vtid.kernel import messages
from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.sockets import LINK_EVENTS, ROUTE_EVENTS, Requests, open_events, read_event
from vtid.model.link import Link
from vtid.netns import Namespaces


def shell(*commands: str) -> None:
    for command in commands:
        subprocess.run(command.split(), check=True)


def say(label: str, data: bytes) -> None:
    for message in nl.split(data):
        print(label, message.kind, data[message.start - 16 : message.end].hex())


def say_of(ifindex: int, label: str, data: bytes) -> None:
    for message in nl.split(data):
        mine = struct.unpack_from("=4xI", message.data + bytes(8), message.start)[0] == ifindex
        if mine or message.kind == nl.NLMSG_DONE:
            say(label, data[message.start - 16 : message.end])


def events(label: str, source: socket.socket) -> None:
    while data := read_event(source):
        say(label, data)


def link(kind: str, netns: str) -> Link:
    ends = {"vti": ("203.0.113.1", "203.0.113.2"), "vti6": ("2001:db8:1::1", "2001:db8:2::1")}
    local, remote = ends[kind]
    return Link(
        netns=netns,
        name=f"{kind}-a",
        kind=kind,
        local=local,
        remote=remote,
        ikey=7,
        okey=0x1234,
        mtu=1406,
        alias=f"vtid:{netns}/{kind}-a",
    )


def exercise(label: str, netns: str, kind: str, nsid: int | None) -> None:
    requests, source = Requests(), open_events(LINK_EVENTS | ROUTE_EVENTS)
    requests.write(asks.new_link(link(kind, netns), nsid))
    events(f"{label}-created", source)
    there = requests.get(asks.get_link(name=f"{kind}-a"), messages.read_link)
    changes = frozenset({"alias", "disable_policy", "rp_filter"})
    requests.write(asks.set_link(there.ifindex, link(kind, netns), changes))
    events(f"{label}-named", source)
    for data in requests.dump(asks.DUMP_LINKS):
        say_of(there.ifindex, f"{label}-dump", data)
    shell(f"ip -n {netns} address add 2001:db8:ff::/127 dev {kind}-a nodad")
    shell(f"ip -n {netns} address add 169.254.1.0/31 dev {kind}-a")
    shell(f"ip -n {netns} link set {kind}-a up")
    events(f"{label}-up", source)
    for data in requests.dump(asks.DUMP_ADDRESSES):
        say_of(there.ifindex, f"{label}-addresses", data)
    for data in requests.dump(asks.DUMP_STATS):
        say_of(there.ifindex, f"{label}-stats", data)
    requests.write(asks.delete_link(there.ifindex))
    events(f"{label}-deleted", source)


async def main() -> None:
    shell("ip netns add outer", "ip netns add inner", "ip -n inner netns set outer 5")
    shell("ip -n outer link add eth type dummy", "ip -n outer link set eth up")
    print(f"# {os.uname().sysname} {os.uname().release}, {Path(sys.argv[0]).name}")
    namespaces = Namespaces()
    for netns, nsid in (("outer", None), ("inner", 5)):
        for kind in ("vti", "vti6"):
            await namespaces.thread(netns).call(exercise, f"{netns}-{kind}", netns, kind, nsid)
    namespaces.close()


if __name__ == "__main__":
    Path("/run/netns").mkdir(exist_ok=True)
    asyncio.run(main())
