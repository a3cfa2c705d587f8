"""Drops: tunnels whose SA is up while IPsec drops their packets in the kernel. Pure.

/proc/net/xfrm_stat counts what IPsec drops in a whole namespace, for all its SAs. A tunnel is named
if that grows and nothing comes through the tunnel: probes have no answer, or it sent packets and
received none.

Rules of this file:

* Counters are read every few seconds (`daemon/traffic.py`); a reading is the unit of time.
* ESP is decrypted in vtid's own namespace, and policies are checked in that of the interface: both
  count.
* It is for operators. No operation follows, because nothing that vtid could do is sure to help.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtid.core.tunnels import Tunnel

READINGS = 6
"""Readings for which a drop is news, and in which a tunnel that sends has to receive: 30 s."""


class Drops:
    """What IPsec dropped lately, by namespace and reason."""

    def __init__(self) -> None:
        self._last: dict[str, Mapping[str, int]] = {}
        self._grew: defaultdict[str, list[dict[str, int]]] = defaultdict(list)
        """By how much each counter grew, for each of the last readings."""

    def read(self, netns: str, counted: Mapping[str, int]) -> None:
        """File the counters of a namespace; those that are there at first are no news."""
        before = self._last.get(netns, counted)
        grown = {name: count - before.get(name, 0) for name, count in counted.items()}
        self._last[netns] = dict(counted)
        self._grew[netns].append({name: by for name, by in grown.items() if by > 0})
        del self._grew[netns][:-READINGS]

    def lost(self, netns: str) -> None:
        """Forget the counters of a namespace that is gone: another one begins at 0."""
        self._last.pop(netns, None)
        self._grew.pop(netns, None)

    def of(self, tunnel: Tunnel, *, unanswered: bool) -> str:
        """Return what is dropped while nothing comes through a tunnel, empty if nothing is.

        `unanswered` says that probes through it have no answer.
        """
        still = tunnel.tally is not None and tunnel.tally.one_way >= READINGS
        if not tunnel.sas or not (unanswered or still):
            return ""
        found = [self._words(netns) for netns in sorted({"", tunnel.netns})]
        if not any(found):
            return ""
        how = "probes have no answer" if unanswered else "it sends and receives nothing"
        return f"{how}, and IPsec drops packets: {', '.join(filter(None, found))}"

    def _words(self, netns: str) -> str:
        total: dict[str, int] = {}
        for grown in self._grew.get(netns, ()):
            for name, by in grown.items():
                total[name] = total.get(name, 0) + by
        where = f" in namespace {netns}" if netns else ""
        return ", ".join(
            f"{count} by Xfrm{name}{where}"
            for name, count in sorted(total.items(), key=lambda one: (-one[1], one[0]))
        )
