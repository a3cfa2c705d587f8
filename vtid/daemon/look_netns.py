"""Look at network namespaces: settings, counters and traffic, in all of them at once.

Rule of this file: /proc/sys/net and /proc/thread-self/net are those of the thread's own namespace.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from vtid.daemon.look_links import links_here
from vtid.daemon.looks import UnseenError, read
from vtid.model.facts import NetnsFacts
from vtid.netns import Namespaces
from vtid.nft.look import look

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from vtid.daemon.looks import Looks
    from vtid.model.facts import OtherClamp
    from vtid.model.link import Clamp

_SYSCTLS = (
    "ipv4/ip_forward",
    "ipv6/conf/all/forwarding",
    "ipv4/conf/*/rp_filter",
    "ipv4/conf/*/disable_policy",
)


class _Counts(NamedTuple):
    drops: dict[str, int]
    traffic: dict[str, tuple[int, int]]


async def look_into(
    names: Iterable[str], root: Path, watch: float, looks: Looks
) -> dict[str, NetnsFacts]:
    """Return the facts of the namespaces that can be entered, after `watch` seconds."""
    threads = Namespaces()
    try:
        found = [_look(threads, netns, root, watch, looks) for netns in names]
        return {netns: facts for netns, facts in await asyncio.gather(*found) if facts}
    finally:
        threads.close()


async def _look(
    threads: Namespaces, netns: str, root: Path, watch: float, looks: Looks
) -> tuple[str, NetnsFacts | None]:
    where = f" in namespace {netns}" if netns else ""
    try:
        thread = threads.thread(netns)
        before = await thread.call(_count, root, looks, where)
        await asyncio.sleep(watch)
        return netns, await thread.call(_facts, root, before, looks, where)
    except Exception as error:  # noqa: BLE001 - the others go on, and the gap has it
        looks.cannot(f"namespace {netns or '(own)'}", error)
        return netns, None


def _count(root: Path, looks: Looks, where: str) -> _Counts:
    drops = looks.at(f"packets that IPsec drops{where}", partial(counters, root))
    return _Counts(drops or {}, traffic(root))


def _clamps(
    looks: Looks, root: Path, where: str
) -> tuple[dict[str, Clamp] | None, tuple[OtherClamp, ...]]:
    found = looks.at(f"MSS rules{where}", look)
    if found is None:
        return None, ()
    for chain in found.by_jump:
        why = "it is reached by a jump, which may be for some interfaces only: `nft list ruleset`"
        looks.cannot(f"MSS rules of chain {chain}{where}", UnseenError(why))
    if found.has_iptables:
        why = "nft does not tell what they do: `iptables-save -t mangle`, `ip6tables-save`"
        looks.cannot(f"rules of iptables-nft{where}", UnseenError(why))
    if looks.at(f"whether iptables-legacy has rules{where}", partial(_has_legacy, root)):
        why = "nft does not have them: `iptables-legacy-save -t mangle`"
        looks.cannot(f"rules of iptables-legacy{where}", UnseenError(why))
    return found.ours, found.others


def _has_legacy(root: Path) -> bool:
    there = root / "proc/thread-self/net"
    names = (read(there / f"{ip}_tables_names") or "" for ip in ("ip", "ip6"))
    return any("mangle" in text.split() for text in names)


def mtus() -> dict[str, int]:
    """Return the MTU of each interface of the thread's namespace."""
    return {link.name: link.mtu for link in links_here()}


def _facts(root: Path, before: _Counts, looks: Looks, where: str) -> NetnsFacts:
    after = _Counts(counters(root) if before.drops else {}, traffic(root))
    clamps, others = _clamps(looks, root, where)
    return NetnsFacts(
        sysctls=looks.at(f"settings of the kernel{where}", partial(sysctls, root)) or {},
        xfrm_growth={name: now - before.drops.get(name, 0) for name, now in after.drops.items()},
        traffic={
            name: (after.traffic[name][0] - received, after.traffic[name][1] - sent)
            for name, (received, sent) in before.traffic.items()
            if name in after.traffic
        },
        mtus=looks.at(f"interfaces{where}", mtus) or {},
        clamps=clamps,
        other_clamps=others,
    )


def counters(root: Path) -> dict[str, int]:
    """Return the counters of xfrm_stat."""
    text = read(root / "proc/thread-self/net/xfrm_stat")
    if text is None:
        raise UnseenError("this kernel does not count them (no /proc/net/xfrm_stat)")
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}  # noqa: PLR2004


def traffic(root: Path) -> dict[str, tuple[int, int]]:
    """Return the packets that each interface has received and sent (/proc/net/dev)."""
    lines = (read(root / "proc/thread-self/net/dev") or "").splitlines()
    rows = (line.replace(":", " ", 1).split() for line in lines if ":" in line)
    return {row[0]: (int(row[_RECEIVED]), int(row[_SENT])) for row in rows if len(row) > _SENT}


_RECEIVED, _SENT = 2, 10
"""Columns of packets, after the interface's name."""


def sysctls(root: Path) -> dict[str, str]:
    """Return settings below /proc/sys/net with their values."""
    net = root / "proc/sys/net"
    if not net.is_dir():
        raise UnseenError("there is no /proc/sys/net")
    paths = (path for pattern in _SYSCTLS for path in net.glob(pattern))
    found = ((str(path.relative_to(net)), (read(path) or "").strip()) for path in paths)
    return {name: value for name, value in found if value.isdecimal()}
