"""Facts of this machine, for the doctor: files below `root`, and what kernel and charon tell.

Rules of this file:

* It changes nothing, and any user may ask: what cannot be seen is a gap (`looks`), never an error.
* It runs in a process of its own (`vtid --doctor`), so that it may block.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vtid.daemon.hook_files import programs
from vtid.daemon.look_daemon import capabilities
from vtid.daemon.look_networkd import networkd
from vtid.daemon.looks import Looks, UnseenError, read
from vtid.kernel.tables import CHARON_TABLE, addresses, routes_in
from vtid.model.facts import CharonLists, HostFacts
from vtid.vici.channel import ViciError
from vtid.vici.listing import listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Config

_SYSCTLS = (
    "ipv4/ip_forward",
    "ipv6/conf/all/forwarding",
    "ipv4/conf/*/rp_filter",
    "ipv4/conf/*/disable_policy",
)


def charon_facts(config: Config) -> CharonLists:
    """Return what charon has."""
    try:
        found = asyncio.run(listing(config.vici.socket))
    except ViciError as error:
        return CharonLists(error=str(error))
    return CharonLists("", found.connections, found.sas)


def host_facts(config: Config, root: Path, watch: float) -> HostFacts:
    """Return what the machine has; takes `watch` seconds, during which counters may grow."""
    looks = Looks()
    before, packets = looks.at("packets that IPsec drops", partial(counters, root)), traffic(root)
    time.sleep(watch)
    after, later = (counters(root), traffic(root)) if before is not None else ({}, {})
    return HostFacts(
        sysctls=dict(looks.at("settings of the kernel", partial(sysctls, root)) or {}),
        xfrm_growth={name: after[name] - (before or {}).get(name, 0) for name in after},
        traffic={
            name: (later[name][0] - received, later[name][1] - sent)
            for name, (received, sent) in packets.items()
            if name in later
        },
        watched=watch,
        charon_routes=looks.at("charon's routes", partial(routes_in, CHARON_TABLE)),
        addresses=looks.at("addresses", addresses),
        modules=looks.at("kernel modules", partial(modules, root, platform.release())),
        networkd=looks.at("systemd-networkd", partial(networkd, root)),
        bird_conf=looks.at("BIRD's configuration", partial(read, root / "etc/bird/bird.conf")),
        daemon_capabilities=looks.at("the vtid that runs", partial(capabilities, config, root)),
        hooks_refused=looks.at("hooks", partial(hooks, config)) or (),
        gaps=tuple(looks.gaps),
    )


def counters(root: Path) -> dict[str, int]:
    """Return the counters of /proc/net/xfrm_stat."""
    text = read(root / "proc/net/xfrm_stat")
    if text is None:
        raise UnseenError("this kernel does not count them (no /proc/net/xfrm_stat)")
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}  # noqa: PLR2004


def traffic(root: Path) -> dict[str, tuple[int, int]]:
    """Return the packets that each interface has received and sent (/proc/net/dev)."""
    lines = (read(root / "proc/net/dev") or "").splitlines()
    rows = (line.replace(":", " ", 1).split() for line in lines if ":" in line)
    return {row[0]: (int(row[_RECEIVED]), int(row[_SENT])) for row in rows if len(row) > _SENT}


_RECEIVED, _SENT = 2, 10
"""Columns of packets, after the interface's name."""


def sysctls(root: Path) -> Iterator[tuple[str, str]]:
    """Return settings below /proc/sys/net with their values."""
    net = root / "proc/sys/net"
    if not net.is_dir():
        raise UnseenError("there is no /proc/sys/net")
    paths = (path for pattern in _SYSCTLS for path in net.glob(pattern))
    found = ((str(path.relative_to(net)), (read(path) or "").strip()) for path in paths)
    return ((name, value) for name, value in found if value.isdecimal())


def modules(root: Path, release: str) -> frozenset[str]:
    """Return the modules that can be loaded or are built in."""
    there = root / "lib/modules" / release
    lists = [read(there / name) for name in ("modules.dep", "modules.builtin")]
    if None in lists:
        raise UnseenError(f"there is no list of them in /lib/modules/{release}, as in a container")
    text = "\n".join(filter(None, lists))
    found = re.findall(r"^[^:\n]*?([\w-]+)\.ko", text, re.MULTILINE)
    return frozenset(name.replace("-", "_") for name in found)


def hooks(config: Config) -> tuple[str, ...]:
    """Return which programs of `hooks` may not be run, with the reasons."""
    if not config.daemon.hooks:
        return ()
    folder = Path(config.daemon.hooks)
    with suppress(FileNotFoundError, NotADirectoryError):  # that is one of the reasons
        os.scandir(folder).close()
    return programs(folder).refused
