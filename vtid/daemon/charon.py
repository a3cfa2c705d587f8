"""Charon: what it says of itself and what it has loaded, asked for once a minute. An edge.

Rules of this file:

* Where it does not answer, nothing is known; that it is away is told by the connection for its SAs.
* Asking takes at most one part in `SHARE` of the time, with any number of connections.
* A reload asks again at once: the policies are others.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from vtid.core.loaded import compare
from vtid.core.policies import Policies
from vtid.http.telemetry import Reading
from vtid.model.charon import CharonFacts
from vtid.vici.channel import ViciError
from vtid.vici.look import look

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.config.keys import Config
    from vtid.model.charon import CharonStats
    from vtid.model.loaded import Loaded

Values = dict[tuple[str, ...], float]
"""Values by those of the labels."""

INTERVAL = 60.0
"""Seconds between two looks."""

SHARE = 20

FIRST = 2.0
"""Seconds until the first one, after the SAs."""

NOTHING = CharonFacts()


class CharonWatch:
    """The last that charon said of itself, and that beside the policies of `config`."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self.facts = NOTHING
        self.loaded: Loaded | None = None
        """None while it is not known."""
        self._config = config
        self._wish = asyncio.Event()

    async def run(self) -> None:
        """Ask until cancelled."""
        await asyncio.sleep(FIRST)
        while True:
            self._wish.clear()
            began = time.monotonic()
            await self.look()
            took = time.monotonic() - began
            with suppress(TimeoutError):
                async with asyncio.timeout(max(INTERVAL, SHARE * took)):
                    await self._wish.wait()

    def look_soon(self) -> None:
        """Ask now: the configuration is another one."""
        self._wish.set()

    async def look(self) -> None:
        """Ask once."""
        config = self._config()
        try:
            self.facts = await look(config.vici.socket)
        except ViciError:
            self.facts = NOTHING
        # with 10,000 connections this takes some time
        self.loaded = await asyncio.to_thread(_loaded, config, self.facts)

    def readings(self) -> tuple[Reading, ...]:
        """Return it as series for Prometheus."""

        def numbers(read: Callable[[CharonStats], float | None]) -> Callable[[], Values]:
            return lambda: _if_known(read(self.facts.stats))

        return (
            Reading(
                "gauge",
                "vtid_charon_start_timestamp_seconds",
                "Unix time at which charon was started.",
                numbers(lambda stats: stats.started_at),
            ),
            Reading(
                "gauge", "vtid_charon_workers", "Threads of charon.", numbers(lambda s: s.workers)
            ),
            Reading(
                "gauge",
                "vtid_charon_workers_idle",
                "Threads of charon that have nothing to do.",
                numbers(lambda stats: stats.workers_idle),
            ),
            Reading(
                "gauge",
                "vtid_charon_jobs_active",
                "Jobs that threads of charon are at.",
                lambda: _by_priority(self.facts.stats.active),
                ("priority",),
            ),
            Reading(
                "gauge",
                "vtid_charon_jobs_queued",
                "Jobs that wait for a thread of charon.",
                lambda: _by_priority(self.facts.stats.queued),
                ("priority",),
            ),
            Reading(
                "gauge",
                "vtid_charon_jobs_scheduled",
                "Jobs of charon that wait for their time.",
                numbers(lambda stats: stats.scheduled),
            ),
            Reading(
                "gauge", "vtid_charon_ike_sas", "IKE_SAs of charon.", numbers(lambda s: s.ike_sas)
            ),
            Reading(
                "gauge",
                "vtid_charon_ike_sas_half_open",
                "IKE_SAs of charon that are being established.",
                numbers(lambda stats: stats.half_open),
            ),
            Reading(
                "gauge",
                "vtid_charon_certificate_expiry_timestamp_seconds",
                "Unix time at which a certificate ends whose private key charon has.",
                lambda: {(one.serial, one.name): one.expires_at for one in self.facts.certificates},
                ("serial", "name"),
            ),
            Reading(
                "gauge",
                "vtid_charon_pool_addresses",
                "Virtual IPs that a pool of charon has.",
                lambda: {(pool.name,): pool.size for pool in self.facts.pools},
                ("pool",),
            ),
            Reading(
                "gauge",
                "vtid_charon_pool_addresses_online",
                "Virtual IPs of a pool that peers have.",
                lambda: {(pool.name,): pool.online for pool in self.facts.pools},
                ("pool",),
            ),
            Reading(
                "gauge",
                "vtid_charon_pool_addresses_offline",
                "Virtual IPs of a pool that are kept for peers which had them.",
                lambda: {(pool.name,): pool.offline for pool in self.facts.pools},
                ("pool",),
            ),
        )


def _loaded(config: Config, facts: CharonFacts) -> Loaded | None:
    if facts.connections is None:
        return None
    return compare(Policies(config), facts.connections, facts.children)


def _if_known(value: float | None) -> Values:
    return {} if value is None else {(): value}


def _by_priority(jobs: tuple[tuple[str, int], ...]) -> Values:
    return {(priority,): count for priority, count in jobs}
