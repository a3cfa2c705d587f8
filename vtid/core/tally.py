"""Tally: what each tunnel has counted, through rekeys, reauthentications and new interfaces. Pure.

Rules of this file:

* A tally belongs to a label (`labels`). The tunnel that takes over the label counts on; what the
  interface before it still carries counts there, too.
* Traffic is the sum of differences between readings of one link, so it never falls. A link that was
  there before vtid counts from its first reading: when Prometheus takes a fall for a restart of the
  counter, it must not add again what an earlier vtid has told. One that becomes ours later counts
  from that moment.
* The last reading of a link comes with the kernel's word that it is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.model.counts import NO_COUNTS, Counts, LinkCounters

if TYPE_CHECKING:
    from collections.abc import Collection

LinkKey = tuple[str, int]
"""Namespace and index of a link."""

NONE_YET = LinkCounters()


@dataclass(slots=True)
class Tally:
    """What was counted under one label."""

    up: bool | None = None
    """None until everything about the tunnel was known once: one that was up is no new one."""
    ups: int = 0
    downs: int = 0
    rekeys: int = 0
    retries: int = 0
    traffic: LinkCounters | None = None
    one_way: int = 0
    """Readings since a packet came in, in which one was sent, or was to be."""

    @property
    def counts(self) -> Counts:
        """The counts so far."""
        return Counts(self.ups, self.downs, self.rekeys, self.retries, self.traffic)

    def add(self, now: LinkCounters, before: LinkCounters) -> None:
        """Add what a link counted between two readings."""
        self.traffic = (self.traffic or NONE_YET).plus(now, before)
        if now.rx_packets > before.rx_packets:
            self.one_way = 0
        elif now.tx_packets > before.tx_packets or now.tx_errors > before.tx_errors:
            self.one_way += 1

    def show(self, *, up: bool) -> None:
        """Count a change between up and not up."""
        before, self.up = self.up, up
        if before is None or before is up:
            return
        if up:
            self.ups += 1
        else:
            self.downs += 1


class Tallies:
    """The tallies by label, and the last reading of each link."""

    def __init__(self) -> None:
        self._of: dict[str, Tally] = {}
        self._last: dict[LinkKey, LinkCounters | None] = {}
        """None for a link that was there before vtid and has not been read."""

    def of(self, label: str) -> Tally:
        """Return the tally of a label, a new one where there is none."""
        return self._of.setdefault(label, Tally())

    def counts(self, label: str) -> Counts:
        """Return what was counted under a label so far."""
        return self._of[label].counts if label in self._of else NO_COUNTS

    def keep(self, labels: Collection[str]) -> None:
        """Drop the tallies of all other labels."""
        self._of = {label: tally for label, tally in self._of.items() if label in labels}

    def forget(self, label: str) -> None:
        """Drop the tally of a label that is no longer wanted."""
        self._of.pop(label, None)

    def adopt(self, link: LinkKey) -> None:
        """Count a link, which was there before vtid, from its first reading on."""
        self._last.setdefault(link, None)

    def begin(self, link: LinkKey, past: LinkCounters | None) -> None:
        """Count a link that turns up from what it had counted by then, where the kernel told it."""
        if past:
            self._last.setdefault(link, past)

    def read(self, link: LinkKey, now: LinkCounters, tally: Tally | None) -> None:
        """File the counters of a link whose traffic counts in `tally`, if in any."""
        before = self._last.get(link, NONE_YET)
        if before is None or before.rx_packets > now.rx_packets:
            before = now if before is None else NONE_YET  # another link has its index
        self._last[link] = now
        if tally:
            tally.add(now, before)

    def gone(self, link: LinkKey, last: LinkCounters | None, tally: Tally | None) -> None:
        """File the last counters of a link, where the kernel told them."""
        if last:
            self.read(link, last, tally)
        self._last.pop(link, None)
