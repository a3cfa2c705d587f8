"""Policies: which `[[tunnel]]` tables match a CHILD_SA. Pure.

A policy without wildcards is found by its connection name. Only patterns are tried one by one, so
the cost of an event does not grow with the number of plain policies.
"""

from __future__ import annotations

import re
from collections import defaultdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from vtid.config.types import is_static
from vtid.core.directions import inbound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Config, Policy
    from vtid.model.sa import ChildSa

ANY_CHILD = "*"

_WILDCARD = re.compile(r"[*?\[]")


class Policies:
    """The policies of a configuration, indexed by plain connection name.

    With `indexed=False` they match nothing before `index` has come to its end.
    """

    def __init__(self, config: Config, *, indexed: bool = True) -> None:
        self.all: tuple[Policy, ...] = config.policies
        self.namespaces = frozenset({"", *(policy.netns for policy in config.policies)})
        """Those that the configuration names, and vtid's own."""
        self.patterns: list[Policy] = []
        """Those that may have any number of tunnels."""
        self._plain: dict[str, list[Policy]] = defaultdict(list)
        self._patterns: list[Policy] = []
        self._by_key: dict[tuple[str, ...], Policy] = {}
        self._outbound: set[tuple[str, ...]] = set()
        self._inbound: dict[tuple[str, ...], Policy] = {}
        """Policies of inbound interfaces, by the key of the policy that has both."""
        for _ in self.index() if indexed else ():
            pass

    def index(self) -> Iterator[None]:
        """Index the policies, in steps."""
        for policy in self.all:
            known_by = key(policy)
            self._by_key[known_by] = policy
            self._outbound.add(known_by)
            if half := inbound(policy):
                self._inbound[known_by] = half
            if is_pattern(policy):
                self.patterns.append(policy)
            if _WILDCARD.search(policy.connection):
                self._patterns.append(policy)
            else:
                self._plain[policy.connection].append(policy)
            yield
        self._by_key.update((key(half), half) for half in self._inbound.values())

    @property
    def interfaces(self) -> tuple[Policy, ...]:
        """A policy for each interface: those of the inbound direction included."""
        return (*self.all, *self._inbound.values())

    def successor(self, policy: Policy | None) -> Policy | None:
        """Return the policy that gives the same SAs the same interface as an earlier one."""
        return self._by_key.get(key(policy)) if policy else None

    def inbound(self, policy: Policy) -> Policy | None:
        """Return the policy of the inbound interface, None where there is no separate one."""
        return self._inbound.get(key(policy)) if policy.interface_in else None

    def is_half(self, policy: Policy) -> bool:
        """Whether a policy is only that of an inbound interface."""
        return key(policy) not in self._outbound

    def of_interface(self, netns: str, connection: str) -> Iterator[Policy]:
        """Yield the policies of the interfaces of one connection in a namespace."""
        for policy in self._plain.get(connection, ()):
            both = (policy, self.inbound(policy))
            yield from (one for one in both if one and one.netns == netns)

    def matching(self, sa: ChildSa) -> list[Policy]:
        """Return all policies that match an SA; a good configuration has at most one."""
        return self.claims(sa.connection, sa.child)

    def claims(self, connection: str, child: str) -> list[Policy]:
        """Return all policies that match a child of a connection."""
        matching = [*self._plain.get(connection, ())]
        if self._patterns:
            matching += (one for one in self._patterns if fnmatchcase(connection, one.connection))
        return [policy for policy in matching if fits(policy, child)]


def key(policy: Policy) -> tuple[str, ...]:
    """Return what stays the same of a policy whose tunnels stay the same."""
    return policy.connection, policy.child, policy.netns, policy.interface


def fits(policy: Policy, child: str) -> bool:
    """Whether a policy matches a child of its connection."""
    return policy.child == ANY_CHILD or fnmatchcase(child, policy.child)


def is_pattern(policy: Policy) -> bool:
    """Whether a policy may have any number of tunnels: one for each connection, or each peer."""
    of_each = _WILDCARD.search(policy.connection) or "{remote_" in policy.interface
    return bool(of_each) and not is_static(policy.interface)
