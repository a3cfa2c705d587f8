"""What the kernel does with packets that are larger than what fits into the SA.

    python -m tests.lab.host run -- python3 -m tests.kernel.measure_small_mtu

The outer path carries 1300 bytes, so that 1246 (IPv4 outside) or 1226 (IPv6 outside) fit into the
SA with AES-GCM; the tunnel's interface has an MTU of 1280, as vtid sets it where IPv6 is inside.
Three packets of each size are sent, from the gateway itself and from a host behind it. What became
of the last one is printed: whether it arrived, in how many ESP packets or fragments, and what the
sender was told.

       h ──────── a ═══ tunnel ═══ b          h: a host behind the gateway a
                  └────── r ───────┘          r: a router between the gateways

Rules of this file: namespaces of its own, static SAs, no charon.
"""

from __future__ import annotations

import ctypes
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMESPACES = ("h", "a", "r", "b")
KEY = f"0x{1:040}"
OUTER = 1300
IF_MTU = 1280
SIZES = (1200, 1270, 1290)
"""Bytes of the inner packet: fits; between what fits and the interface's MTU; larger than both."""

ENDS = {4: ("192.0.2.1", "198.51.100.1"), 6: ("2001:db8:1::1", "2001:db8:2::1")}
KINDS = {
    "vti": ("vti", 4),
    "vti6": ("vti6", 6),
    "xfrm, IPv4": ("xfrm", 4),
    "xfrm, IPv6": ("xfrm", 6),
}
INNER = {"IPv4 with DF": ("10.0.0.2", "do"), "IPv4": ("10.0.0.2", "dont"), "IPv6": ("fd00::2", "")}
COPY_DF = "--copy-df-no" not in sys.argv
"""Without: `copy_df = no` of swanctl.conf, which is XFRM_STATE_NOPMTUDISC: outer IPv4 has no DF."""

PATHS = ("route",) if "--route-only" in sys.argv else ("route", "link", "router")
"""Where the 1300 bytes come from: a route's `mtu`, a link, a router's Packet Too Big."""


def run(command: str, *, check: bool = True) -> str:
    """Run a command; return what it says."""
    done = subprocess.run(command, shell=True, text=True, check=False, capture_output=True)  # noqa: S602
    if check and done.returncode:
        raise SystemExit(f"{command}: {done.stderr}")
    return done.stdout + done.stderr


def ip(netns: str, *lines: str) -> None:
    """Run lines of `ip` in a namespace."""
    text = "\n".join(lines)
    subprocess.run(["ip", "-n", netns, "-batch", "-"], input=text, text=True, check=True)


@contextmanager
def topology() -> Iterator[None]:
    """Make the namespaces and their links, and remove them."""
    for name in NAMESPACES:
        run(f"ip netns add {name}")
        run(f"ip netns exec {name} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        ip(name, "link set lo up")
    try:
        for left, right in (("h", "a"), ("a", "r"), ("r", "b")):
            run(f"ip link add to-{right} netns {left} type veth peer name to-{left} netns {right}")
            ip(left, f"link set to-{right} up")
            ip(right, f"link set to-{left} up")
        for netns, dev, addresses in (
            ("h", "to-a", ("10.1.0.2/24", "fd01::2/64")),
            ("a", "to-h", ("10.1.0.1/24", "fd01::1/64")),
            ("a", "to-r", ("192.0.2.1/24", "2001:db8:1::1/64")),
            ("r", "to-a", ("192.0.2.254/24", "2001:db8:1::254/64")),
            ("r", "to-b", ("198.51.100.254/24", "2001:db8:2::254/64")),
            ("b", "to-r", ("198.51.100.1/24", "2001:db8:2::1/64")),
        ):
            ip(
                netns,
                *(f"address add {one} dev {dev} {'nodad' * (':' in one)}" for one in addresses),
            )
        ip("h", "route add default via 10.1.0.1", "route add default via fd01::1")
        ip("b", "route add default via 198.51.100.254", "route add default via 2001:db8:2::254")
        unlimited = "net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0"
        run(f"ip netns exec a sysctl -qw net.ipv4.conf.all.rp_filter=0 {unlimited}")
        yield
    finally:
        for name in NAMESPACES:
            run(f"ip netns delete {name}", check=False)


def set_path(path: str) -> None:
    """Limit the outer path to 1300 bytes in one of three ways."""
    small = OUTER if path == "link" else 1500
    ip("a", f"link set to-r mtu {small}")
    ip(
        "r",
        f"link set to-a mtu {small}",
        f"link set to-b mtu {OUTER if path == 'router' else 1500}",
    )
    ip("b", f"link set to-r mtu {OUTER if path == 'router' else 1500}")
    lock = f"mtu {OUTER}" if path == "route" else ""
    ip(
        "a",
        f"route replace 198.51.100.0/24 via 192.0.2.254 {lock}",
        f"route replace 2001:db8:2::/64 via 2001:db8:1::254 {lock}",
    )


def make_tunnel(kind: str, family: int) -> None:
    """Make the tunnel on both sides, with the interface's MTU."""
    ends = ENDS[family]
    for netns, (local, remote), number in (("a", ends, 0), ("b", ends[::-1], 1)):
        other = 1 - number
        mark = "if_id 7" if kind == "xfrm" else "mark 7"
        out = "if_id 7" if kind == "xfrm" else ""
        made = (
            "link add dev t type xfrm if_id 7"
            if kind == "xfrm"
            else f"link add dev t type {kind} local {local} remote {remote} key 7"
        )
        flag = "" if COPY_DF else "flag nopmtudisc"
        aead = f"aead rfc4106(gcm(aes)) {KEY} 128 mode tunnel"
        ip(
            netns,
            made,
            f"link set dev t mtu {IF_MTU}",
            f"xfrm state add src {local} dst {remote} proto esp spi {1 + number} {aead} "
            f"{out or 'mark 7'} flag af-unspec {flag}",
            f"xfrm state add src {remote} dst {local} proto esp spi {1 + other} {aead} "
            f"{out or 'mark 7'} flag af-unspec {flag}",
        )
        for any_ in ("0.0.0.0/0", "::/0"):
            ip(
                netns,
                f"xfrm policy add src {any_} dst {any_} dir out {mark} tmpl src {local} "
                f"dst {remote} proto esp mode tunnel",
                f"xfrm policy add src {any_} dst {any_} dir in {mark} tmpl src {remote} "
                f"dst {local} proto esp mode tunnel",
            )
        run(f"ip netns exec {netns} sysctl -qw net.ipv4.conf.t.disable_policy=1")
        ours = ("10.0.0.1", "fd00::1") if netns == "a" else ("10.0.0.2", "fd00::2")
        ip(
            netns,
            f"address add {ours[0]}/24 dev t",
            f"address add {ours[1]}/64 dev t nodad",
            "link set dev t up",
        )
    ip("b", "route add 10.1.0.0/24 dev t", "route add fd01::/64 dev t")


def remove_tunnel() -> None:
    """Remove the tunnel on both sides."""
    for netns in ("a", "b"):
        ip(netns, "link delete dev t", "xfrm state flush", "xfrm policy flush")


@dataclass
class Sniffer:
    """Counts what arrives in b: ESP and its fragments outside, echo requests inside."""

    esp: int = 0
    fragments: int = 0
    inner: int = 0
    sockets: list[socket.socket] = field(default_factory=list)

    def start(self) -> None:
        """Listen on the outer and the inner interface of b."""
        for dev, look in (("to-r", self._outer), ("t", self._inner)):
            sock = _in_netns("b", dev)
            self.sockets.append(sock)
            threading.Thread(target=_listen, args=(sock, look), daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        for sock in self.sockets:
            sock.close()

    def _outer(self, frame: bytes) -> None:
        packet = frame[14:]
        if packet[:1] and packet[0] >> 4 == 4:
            offset = int.from_bytes(packet[6:8]) & 0x3FFF
            if packet[9] == socket.IPPROTO_ESP:
                self.fragments += bool(offset)
                self.esp += not offset
        elif packet[:1] and packet[0] >> 4 == 6:
            self.fragments += packet[6] == socket.IPPROTO_FRAGMENT
            self.esp += packet[6] == socket.IPPROTO_ESP

    def _inner(self, packet: bytes) -> None:
        if packet[:1] and packet[0] >> 4 == 4:
            header = 4 * (packet[0] & 15)
            first = not int.from_bytes(packet[6:8]) & 0x1FFF
            self.inner += packet[9] == 1 and first and packet[header] == 8
        elif packet[:1]:
            self.inner += packet[6] == 58 and packet[40] == 128


def _in_netns(netns: str, dev: str) -> socket.socket:
    """Open a packet socket in a namespace."""
    libc = ctypes.CDLL(None)
    places = Path("/proc/self/ns/net"), Path("/run/netns", netns)
    with places[0].open() as here, places[1].open() as there:
        libc.setns(there.fileno(), 0x40000000)
        try:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            sock.bind((dev, 0))
        finally:
            libc.setns(here.fileno(), 0x40000000)
    return sock


def _listen(sock: socket.socket, look: Callable[[bytes], None]) -> None:
    try:
        while True:
            data, (_, _, kind, *_) = sock.recvfrom(65536)
            if kind != socket.PACKET_OUTGOING:
                look(data)
    except OSError:
        return


def try_one(sender: str, target: str, pmtu: str, size: int) -> str:
    """Send three packets; say what became of the last one."""
    v6 = ":" in target
    data = size - (48 if v6 else 28)
    sniffer = Sniffer()
    options = f"-M {pmtu}" if pmtu else "-M do"
    ping = f"ip netns exec {sender} ping {options} -n -c 1 -W 1 -s {data} {target}"
    for last in (False, False, True):
        if last:
            sniffer.start()
        said = run(ping, check=False)
    run("sleep 0.05")
    sniffer.stop()
    told = re.search(r"(?:mtu ?[=:]? ?)(\d+)", said)
    words = []
    if sniffer.inner:
        whole = sniffer.fragments < 2
        words.append("arrives" + ("" if whole else f", ESP in {sniffer.fragments} fragments"))
    elif told or "too long" in said.lower():
        words.append("refused")
    else:
        words.append("LOST")
    if told:
        words.append(f"sender told {told[1]}")
    if sniffer.inner and sniffer.esp > 1:
        words.append(f"{sniffer.esp} ESP packets")
    return ", ".join(words)


def main() -> None:
    """Print the table."""
    release = run("uname -r").strip()
    copied = "" if COPY_DF else ", copy_df = no"
    print(f"Linux {release}; outer {OUTER}, interface {IF_MTU} bytes, AES-GCM-128{copied}\n")
    print("| kind | outer limit | sender | inner | " + " | ".join(map(str, SIZES)) + " |")
    print("|---|---|---|---|" + "---|" * len(SIZES))
    with topology():
        for name, (kind, family) in KINDS.items():
            for path in PATHS:
                set_path(path)
                make_tunnel(kind, family)
                for sender, who in (("a", "gateway"), ("h", "host behind")):
                    for inner, (target, pmtu) in INNER.items():
                        found = []
                        for size in SIZES:
                            run("ip -n h route flush cache; ip -n h -6 route flush cache")
                            run("ip -n a route flush cache; ip -n a -6 route flush cache")
                            found.append(try_one(sender, target, pmtu, size))
                        print(f"| {name} | {path} | {who} | {inner} | {' | '.join(found)} |")
                        sys.stdout.flush()
                remove_tunnel()


if __name__ == "__main__":
    main()
