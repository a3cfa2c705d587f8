"""What the kernel counts: of links in rtnetlink messages, of IPsec in /proc/net/xfrm_stat. Pure.

A malformed message raises `MessageError`, nothing else.
"""

from __future__ import annotations

import re

from vtid.kernel import wire as nl
from vtid.model.counts import LinkCounters

_COUNT = re.compile(r"\s*\d{1,20}\s*", re.ASCII)
"""Of 64 bits at most; Python refuses to read a number of any length."""


def read_stats(message: nl.Message) -> tuple[int, LinkCounters]:
    """Interface index and counters of an RTM_NEWSTATS with IFLA_STATS_LINK_64."""
    data = message.data
    _, ifindex, _ = nl.unpack(nl.STATS, message)
    found = nl.attributes(data, message.start + nl.STATS.size, message.end)
    return ifindex, _counters(data, found.get(nl.IFLA_STATS_LINK_64, (0, 0)))


def read_link_stats(message: nl.Message) -> LinkCounters | None:
    """Counters of a link in its RTM_NEWLINK or RTM_DELLINK; None where it has none, or cut ones.

    The kernel writes an RTM_DELLINK before it takes the link apart (`unregister_netdevice_many` in
    net/core/dev.c), so its counters are the last ones.
    """
    try:
        start = message.start + nl.LINK.size
        span = nl.find(message.data, start, message.end, nl.IFLA_STATS64)
        return _counters(message.data, span) if span else None
    except nl.MessageError:
        return None


def _counters(data: bytes, span: nl.Span) -> LinkCounters:
    start, end = span
    if end - start < nl.LINK_STATS.size:
        raise nl.MessageError("statistics are cut")
    rx_packets, tx_packets, rx_bytes, tx_bytes, *others = nl.LINK_STATS.unpack_from(data, start)
    return LinkCounters(rx_bytes, tx_bytes, rx_packets, tx_packets, *others)


def read_xfrm_stat(text: str) -> dict[str, int]:
    """Counters of /proc/net/xfrm_stat by name without `Xfrm`; a line that is none is skipped.

    Each of them counts packets that IPsec dropped (Documentation/networking/xfrm_proc.rst).
    """
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition("\t")
        if _COUNT.fullmatch(value):
            found[name.strip().removeprefix("Xfrm")] = int(value)
    return found
