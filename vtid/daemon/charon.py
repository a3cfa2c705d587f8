"""Charon: what it says of itself, asked for once a minute. An edge.

Where it does not answer, nothing is known; that it is away is told by the connection for its SAs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from vtid.http.telemetry import Reading
from vtid.model.charon import CharonFacts
from vtid.vici.channel import ViciError
from vtid.vici.look import look

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.model.charon import CharonStats

Values = dict[tuple[str, ...], float]
"""Values by those of the labels."""

INTERVAL = 60.0
"""Seconds between two looks."""

FIRST = 2.0
"""Seconds until the first one, after the SAs."""

NOTHING = CharonFacts()


class CharonWatch:
    """The last that charon said of itself; `socket` returns the path of its VICI socket."""

    def __init__(self, socket: Callable[[], str]) -> None:
        self.facts = NOTHING
        self._socket = socket

    async def run(self) -> None:
        """Ask until cancelled."""
        await asyncio.sleep(FIRST)
        while True:
            await self.look()
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """Ask once."""
        try:
            self.facts = await look(self._socket())
        except ViciError:
            self.facts = NOTHING

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
        )


def _if_known(value: float | None) -> Values:
    return {} if value is None else {(): value}


def _by_priority(jobs: tuple[tuple[str, int], ...]) -> Values:
    return {(priority,): count for priority, count in jobs}
