"""Shown: `show protocols all` for others to read, by a list of what may be in it. Pure.

What an administrator wrote (descriptions) and what a neighbour said (messages) is left out, as is
every line that a later BIRD may add.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADINGS = re.compile(r"^(?:2002|1002)-")
"""Column titles, and the first line of each protocol: names, states, times."""

_KEYS = (
    "BGP state",
    "Neighbor address",
    "Neighbor AS",
    "Neighbor ID",
    "Local AS",
    "Local capabilities",
    "Neighbor capabilities",
    "Session",
    "Source address",
    "Hold timer",
    "Keepalive timer",
    "Send hold timer",
    "TTL security",
    "Error wait",
    "Connect delay",
    "Start delay",
    "Last error",
    "Channel",
    "State",
    "Table",
    "Preference",
    "Routes",
    "Route change stats",
    "Import updates",
    "Import withdraws",
    "Export updates",
    "Export withdraws",
    "Import limit",
    "Export limit",
    "Receive limit",
    "BGP Next hop",
    "Created",
    "Multiprotocol",
    "AF announced",
    "Route refresh",
    "Graceful restart",
    "4-octet AS numbers",
    "Enhanced refresh",
    "Long-lived graceful restart",
)

_LINE = re.compile(rf"^(?:1006-| ) *(?:{'|'.join(map(re.escape, _KEYS))})\b")


def shown(reply: str) -> str:
    """Return the lines of a reply that may be shown, and how many are not."""
    lines = tuple(_lines(reply))
    left_out = sum(bool(line.strip()) for line in reply.splitlines()) - len(lines)
    return "".join(f"{line}\n" for line in (*lines, f"({left_out} lines are not shown)"))


def _lines(reply: str) -> Iterator[str]:
    for line in reply.splitlines():
        if _HEADINGS.match(line) or _LINE.match(line):
            yield "".join(one if one.isprintable() else "?" for one in line)
