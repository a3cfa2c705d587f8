"""Hosts: the outer addresses of many peers, and which of them lies in a network. Pure.

Rules of this file:

* No answer walks all hosts: they are kept in order, and a network is a range of that order.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left, insort
from collections import Counter

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Hosts:
    """Addresses, each counted as often as it was added."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._sorted: dict[int, list[tuple[int, str]]] = {4: [], 6: []}

    def add(self, host: str) -> bool:
        """Add an address; return whether it is a new one."""
        self._count[host] += 1
        if self._count[host] > 1:
            return False
        version, number = _number(host)
        insort(self._sorted[version], (number, host))
        return True

    def remove(self, host: str) -> bool:
        """Remove an address; return whether that was the last of it."""
        self._count[host] -= 1
        if self._count[host]:
            return False
        del self._count[host]
        version, number = _number(host)
        there = self._sorted[version]
        del there[bisect_left(there, (number, host))]
        return True

    def inside(self, network: Network) -> str:
        """Return the first address in a network, empty where there is none."""
        there = self._sorted[network.version]
        at = bisect_left(there, (int(network.network_address), ""))
        if at == len(there) or there[at][0] > int(network.broadcast_address):
            return ""
        return there[at][1]


class Networks:
    """Networks, to find those that contain an address."""

    def __init__(self) -> None:
        self._text: dict[tuple[int, int, int], str] = {}
        self._sizes: Counter[tuple[int, int]] = Counter()

    def add(self, text: str, network: Network) -> None:
        """Add a network that is not there yet, under its text."""
        self._text[_key(network)] = text
        self._sizes[network.version, network.prefixlen] += 1

    def remove(self, network: Network) -> None:
        """Remove a network that is there."""
        size = (network.version, network.prefixlen)
        del self._text[_key(network)]
        self._sizes[size] -= 1
        if not self._sizes[size]:
            del self._sizes[size]

    def around(self, host: str) -> list[str]:
        """Return the networks that contain an address: one look for each length of prefix."""
        version, number = _number(host)
        found = []
        for of_version, length in self._sizes:
            rest = _BITS[of_version] - length
            text = self._text.get((version, length, number >> rest << rest))
            if of_version == version and text:
                found.append(text)
        return found


_BITS = {4: 32, 6: 128}


def _key(network: Network) -> tuple[int, int, int]:
    return network.version, network.prefixlen, int(network.network_address)


def _number(host: str) -> tuple[int, int]:
    address = ipaddress.ip_address(host)
    return address.version, int(address)
