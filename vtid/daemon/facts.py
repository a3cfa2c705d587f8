"""Facts of this machine, for the doctor: files below `root`, and what kernel and charon tell.

Rule of this file: what cannot be read is left out, and never an error: any user may ask.
"""

from __future__ import annotations

import asyncio
import platform
import re
import socket
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from vtid.kernel.tables import CHARON_TABLE, addresses, routes_in
from vtid.model.facts import CharonLists, HostFacts
from vtid.vici.channel import ViciError
from vtid.vici.listing import listing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vtid.config.keys import Config

_SYSCTLS = (
    "ipv4/ip_forward",
    "ipv6/conf/all/forwarding",
    "ipv4/conf/*/rp_filter",
    "ipv4/conf/*/disable_policy",
)

_NETWORKD_DIRECTORIES = ("usr/lib", "run", "etc")
"""The later ones win for files of one name (networkd.conf(5))."""

_TIMEOUT = 2.0
"""Seconds to wait for vtid's control socket."""


def charon_facts(config: Config) -> CharonLists:
    """Return what charon has."""
    try:
        found = asyncio.run(listing(config.vici.socket))
    except ViciError as error:
        return CharonLists(error=str(error))
    return CharonLists("", found.connections, found.sas)


def host_facts(config: Config, root: Path, watch: float) -> HostFacts:
    """Return what the machine has; takes `watch` seconds, during which counters may grow."""
    before, packets = counters(root), traffic(root)
    time.sleep(watch)
    after, later = counters(root), traffic(root)
    return HostFacts(
        sysctls=dict(_sysctls(root / "proc/sys/net")),
        xfrm_growth={name: after[name] - before.get(name, 0) for name in after},
        traffic={
            name: (later[name][0] - received, later[name][1] - sent)
            for name, (received, sent) in packets.items()
            if name in later
        },
        watched=watch,
        charon_routes=_charon_routes(),
        addresses=_addresses(),
        modules=modules(root, platform.release()),
        networkd=networkd(root),
        bird_conf=_read(root / "etc/bird/bird.conf"),
        daemon_capabilities=_capabilities(config.daemon.control_socket, root),
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def counters(root: Path) -> dict[str, int]:
    """Return the counters of /proc/net/xfrm_stat."""
    pairs = (line.split() for line in (_read(root / "proc/net/xfrm_stat") or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}  # noqa: PLR2004


def traffic(root: Path) -> dict[str, tuple[int, int]]:
    """Return the packets that each interface has received and sent (/proc/net/dev)."""
    lines = (_read(root / "proc/net/dev") or "").splitlines()
    rows = (line.replace(":", " ", 1).split() for line in lines if ":" in line)
    return {row[0]: (int(row[_RECEIVED]), int(row[_SENT])) for row in rows if len(row) > _SENT}


_RECEIVED, _SENT = 2, 10
"""Columns of packets, after the interface's name."""


def _sysctls(net: Path) -> Iterator[tuple[str, str]]:
    for pattern in _SYSCTLS:
        for path in net.glob(pattern):
            value = (_read(path) or "").strip()
            if value.isdecimal():
                yield str(path.relative_to(net)), value


def _charon_routes() -> int | None:
    with suppress(OSError):
        return routes_in(CHARON_TABLE)
    return None


def _addresses() -> dict[str, str] | None:
    with suppress(OSError):
        return addresses()
    return None


def modules(root: Path, release: str) -> frozenset[str] | None:
    """Return the modules that can be loaded or are built in; None without a list (a container)."""
    there = root / "lib/modules" / release
    lists = [_read(there / name) for name in ("modules.dep", "modules.builtin")]
    if None in lists:
        return None
    text = "\n".join(filter(None, lists))
    found = re.findall(r"^[^:\n]*?([\w-]+)\.ko", text, re.MULTILINE)
    return frozenset(name.replace("-", "_") for name in found)


def networkd(root: Path) -> dict[str, str] | None:
    """Return `[Network]` of networkd.conf with its drop-ins; None where networkd does not run."""
    if not (root / "run/systemd/netif").is_dir():
        return None
    drop_ins: dict[str, Path] = {}
    for directory in _NETWORKD_DIRECTORIES:
        for path in (root / directory / "systemd/networkd.conf.d").glob("*.conf"):
            drop_ins[path.name] = path
    main = (root / directory / "systemd/networkd.conf" for directory in _NETWORKD_DIRECTORIES)
    found: dict[str, str] = {}
    for path in (*main, *(drop_ins[name] for name in sorted(drop_ins))):
        section = ""
        for line in (_read(path) or "").splitlines():
            key, _, value = line.strip().partition("=")
            if key.startswith("["):
                section = key
            elif section == "[Network]" and not key.startswith(("#", ";")):
                found[key.strip()] = value.strip()
    return found


def _capabilities(control: str, root: Path) -> int | None:
    """Return the effective capabilities of the vtid that listens; None if none does."""
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(_TIMEOUT)
            link.connect(control)
            found = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return None
    pid, _, _ = struct.unpack("3i", found)
    status = _read(root / f"proc/{pid}/status") or ""
    line = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return int(line[1], 16) if line else None
