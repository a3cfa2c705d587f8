"""Counts: what a link and a tunnel have counted so far. Pure.

Rules of this file:

* A count only grows. A difference of two readings of one link is what happened in between.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """`struct rtnl_link_stats64` of a link, in bytes and packets (linux/if_link.h)."""

    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    tx_packets: int = 0
    rx_errors: int = 0
    tx_errors: int = 0
    rx_dropped: int = 0
    tx_dropped: int = 0
    tx_carrier_errors: int = 0
    """Of a tunnel interface: packets for which there was no SA, no route or no policy."""

    def plus(self, now: LinkCounters, before: LinkCounters) -> LinkCounters:
        """Add what a link counted between two readings."""
        return LinkCounters(
            self.rx_bytes + now.rx_bytes - before.rx_bytes,
            self.tx_bytes + now.tx_bytes - before.tx_bytes,
            self.rx_packets + now.rx_packets - before.rx_packets,
            self.tx_packets + now.tx_packets - before.tx_packets,
            self.rx_errors + now.rx_errors - before.rx_errors,
            self.tx_errors + now.tx_errors - before.tx_errors,
            self.rx_dropped + now.rx_dropped - before.rx_dropped,
            self.tx_dropped + now.tx_dropped - before.tx_dropped,
            self.tx_carrier_errors + now.tx_carrier_errors - before.tx_carrier_errors,
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened to a tunnel since vtid started, by whatever interfaces it had."""

    ups: int = 0
    """Times that it came up: an SA and an interface that is up."""
    downs: int = 0
    rekeys: int = 0
    """Rekeyings of its CHILD_SAs, by either side."""
    retries: int = 0
    """Times that failed operations were tried again after their back-off."""
    traffic: LinkCounters | None = None
    """None until its interface was read for the first time."""


NO_COUNTS = Counts()
