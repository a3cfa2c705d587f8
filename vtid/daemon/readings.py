"""Readings: what the edges know of themselves, as series for Prometheus.

Rules of this file:

* It is read at each scrape and asks nobody: an edge notes in plain numbers what it does.
* A label is a namespace or a word of a fixed set.
* What is not known has no sample.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vtid.http.telemetry import Reading
from vtid.model.groups import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from vtid.daemon.reload import Reloader
    from vtid.daemon.traffic import Traffic
    from vtid.kernel.client import Kernel
    from vtid.nft.client import Nft
    from vtid.vici.client import ViciClient

Values = dict[tuple[str, ...], float]
"""Values by those of the labels."""

HASH_DIGITS = 12
"""Hexadecimal digits of a digest that a number of Prometheus holds exactly."""


@dataclass(frozen=True, slots=True)
class Edges:
    """The edges to the peers; a reload may bring another client of charon's."""

    kernel: Kernel
    nft: Nft
    charon: Callable[[], ViciClient]
    namespaces: Callable[[], Collection[str]]
    """Those that are configured; one that is no more may still be watched."""
    traffic: Traffic
    writes: Callable[[], int]
    """Netlink requests to change something, of all that send them."""

    def of_namespaces(self, values: Mapping[str, float]) -> Values:
        """Return the values of the namespaces that are configured."""
        return {(name,): values[name] for name in sorted(self.namespaces()) if name in values}

    def dropped(self) -> Values:
        """Return the packets that IPsec dropped in these namespaces, with the reason."""
        return {
            (netns, reason): count
            for netns in sorted(self.namespaces())
            for reason, count in self.traffic.xfrm.get(netns, {}).items()
        }

    def clamped(self) -> Values:
        """Return the packets that the clamp of these namespaces was applied to."""
        return {
            (netns, f"ipv{name[3]}", name[5:]): count
            for netns in sorted(self.namespaces())
            if (growth := self.nft.clamped.get(netns))
            for name, count in growth.total.items()
        }


def readings(
    edges: Edges, reloader: Reloader, queued: Callable[[], int] = lambda: 0
) -> tuple[Reading, ...]:
    """Return what there is to read; `queued` is how many inputs wait."""
    kernel = (replace(one, group=Group.KERNEL) for one in _kernel(edges))
    return (*kernel, *_counters(edges, reloader), *_state(edges, reloader, queued))


def _kernel(edges: Edges) -> tuple[Reading, ...]:
    kernel, nft = edges.kernel, edges.nft
    return (
        Reading(
            "counter",
            "vtid_netlink_writes",
            "Netlink requests to change something.",
            lambda: _one(edges.writes()),
        ),
        Reading(
            "counter",
            "vtid_netlink_dumps",
            "Times that all links of a namespace were listed.",
            lambda: _each(kernel.dumps),
            ("netns",),
        ),
        Reading(
            "counter",
            "vtid_netlink_overruns",
            "Times that the kernel dropped events because too many waited; a dump follows.",
            lambda: _each(kernel.overruns),
            ("netns",),
        ),
        Reading(
            "counter",
            "vtid_xfrm_drops",
            "Packets that IPsec dropped in a namespace (/proc/net/xfrm_stat), by the reason.",
            edges.dropped,
            ("netns", "reason"),
        ),
        Reading(
            "counter",
            "vtid_nft_clamped_packets",
            "SYN packets through tunnels that the MSS clamp held; lower sizes stay as they are.",
            edges.clamped,
            ("netns", "family", "direction"),
        ),
        Reading(
            "counter",
            "vtid_nft_transactions",
            "Transactions sent to nftables.",
            lambda: _one(nft.transactions),
        ),
        *_kernel_successes(edges),
    )


def _counters(edges: Edges, reloader: Reloader) -> tuple[Reading, ...]:
    charon = edges.charon
    return (
        Reading(
            "counter",
            "vtid_vici_connections",
            "Connections to charon that were set up.",
            lambda: _one(charon().connections),
        ),
        Reading(
            "gauge",
            "vtid_vici_last_success_timestamp_seconds",
            "Unix time at which charon answered last.",
            lambda: _known(charon().success_at),
        ),
        Reading(
            "counter",
            "vtid_vici_listings",
            "Times that charon listed all its SAs.",
            lambda: _one(charon().listings),
        ),
        Reading(
            "counter",
            "vtid_config_reloads",
            "Times that the configuration was read again.",
            lambda: _each(reloader.results),
            ("result",),
        ),
    )


def _kernel_successes(edges: Edges) -> tuple[Reading, ...]:
    return (
        Reading(
            "gauge",
            "vtid_netlink_last_success_timestamp_seconds",
            "Unix time at which the links of a namespace were known to be followed last.",
            lambda: edges.of_namespaces(edges.kernel.success_at),
            ("netns",),
        ),
        Reading(
            "gauge",
            "vtid_nft_last_success_timestamp_seconds",
            "Unix time at which nftables answered last.",
            lambda: edges.of_namespaces(edges.nft.success_at),
            ("netns",),
        ),
    )


def _state(edges: Edges, reloader: Reloader, queued: Callable[[], int]) -> tuple[Reading, ...]:
    return (
        Reading(
            "gauge",
            "vtid_nft_up",
            "Whether the MSS clamp of a namespace can be kept.",
            lambda: edges.of_namespaces(edges.nft.up),
            ("netns",),
        ),
        Reading(
            "gauge",
            "vtid_config_hash",
            "First 48 bits of the SHA-256 of the configuration file in use, as a number.",
            lambda: _known(int(reloader.digest[:HASH_DIGITS] or "0", 16)),
        ),
        Reading(
            "gauge",
            "vtid_config_stale",
            "Whether the configuration file differs from the one in use.",
            lambda: _one(reloader.stale),
        ),
        Reading(
            "gauge",
            "vtid_inbox_inputs",
            "Inputs that wait to be applied.",
            lambda: _one(queued()),
        ),
    )


def _one(value: float) -> Values:
    return {(): value}


def _known(value: float) -> Values:
    return {(): value} if value else {}


def _each(values: Mapping[str, float]) -> Values:
    return {(label,): value for label, value in values.items()}
