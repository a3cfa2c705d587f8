"""Look at who else manages interfaces: systemd-networkd and NetworkManager, by their state files.

Neither promises the format; the tools that ask over D-Bus need a bus and a process each, and say
the same. What is not understood leads to no finding.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from vtid.daemon.looks import UnseenError, read
from vtid.kernel.dumps import read_links
from vtid.kernel.requests import DUMP_LINKS
from vtid.kernel.sockets import Requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from vtid.kernel.messages import LinkInfo

_HANDS_OFF = {"", "unmanaged", "pending", "initialized", "linger"}
"""ADMIN_STATE of a link that networkd does nothing with."""


def own_links() -> dict[int, tuple[str, bool]]:
    """Return name, and whether it is marked as vtid's, of the links of the own namespace.

    By interface index.
    """
    return {link.ifindex: (link.name, link.ours) for link in links_here()}


def links_here() -> tuple[LinkInfo, ...]:
    """Return the links of the thread's namespace."""
    with closing(Requests()) as kernel:
        return tuple(read_links(kernel.dump(DUMP_LINKS)))


def networkd_links(root: Path, links: Mapping[int, tuple[str, bool]]) -> dict[str, str]:
    """Return the .network file of each link that networkd manages, by interface."""
    found: dict[str, str] = {}
    for ifindex, (name, _) in links.items():
        state = _pairs((read(root / f"run/systemd/netif/links/{ifindex}") or "").splitlines())
        if state.get("ADMIN_STATE", "") not in _HANDS_OFF and "NETWORK_FILE" in state:
            found[name] = state["NETWORK_FILE"]
    return found


def networkmanager_links(root: Path, links: Mapping[int, tuple[str, bool]]) -> tuple[str, ...]:
    """Return the links that NetworkManager manages."""
    there = root / "run/NetworkManager"
    if there.is_dir() and not (there / "devices").is_dir():
        raise UnseenError(f"there is no {there}/devices: see `nmcli device`")
    states = (
        (name, _pairs((read(there / f"devices/{ifindex}") or "").splitlines()))
        for ifindex, (name, _) in links.items()
    )
    return tuple(name for name, state in states if state.get("managed") == "true")


def _pairs(lines: Iterable[str]) -> dict[str, str]:
    split = (line.partition("=") for line in lines if not line.startswith(("#", "[")))
    return {key.strip(): value.strip() for key, _, value in split}
