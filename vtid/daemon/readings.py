"""Readings: what the edges count in plain integers, as counters for Prometheus.

Rules of this file:

* It is read at each scrape and asks nobody: an edge adds to its integers where it works.
* A label is a namespace or a word of a fixed set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.http.telemetry import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.daemon.reload import Reloader
    from vtid.kernel.client import Kernel
    from vtid.nft.client import Nft
    from vtid.vici.client import ViciClient


def readings(
    kernel: Kernel, nft: Nft, charon: Callable[[], ViciClient], reloader: Reloader
) -> tuple[Reading, ...]:
    """Return the counters of the edges; a reload may bring another client of charon's."""
    return (
        Reading(
            "vtid_netlink_writes",
            "Netlink requests to change something.",
            lambda: {"": kernel.writes},
        ),
        Reading(
            "vtid_netlink_dumps",
            "Times that all links of a namespace were listed.",
            lambda: kernel.dumps,
            "netns",
        ),
        Reading(
            "vtid_netlink_overruns",
            "Times that the kernel dropped events because too many waited; a dump follows.",
            lambda: kernel.overruns,
            "netns",
        ),
        Reading(
            "vtid_nft_transactions",
            "Transactions sent to nftables.",
            lambda: {"": nft.transactions},
        ),
        Reading(
            "vtid_vici_connections",
            "Connections to charon that were set up.",
            lambda: {"": charon().connections},
        ),
        Reading(
            "vtid_vici_listings",
            "Times that charon listed all its SAs.",
            lambda: {"": charon().listings},
        ),
        Reading(
            "vtid_config_reloads",
            "Times that the configuration was read again.",
            lambda: reloader.results,
            "result",
        ),
    )
