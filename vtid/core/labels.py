"""Labels: the name of each tunnel for operators, which stays the same for as long as it is wanted.

Pure. An interface named by a template (`vti{mark}`) has no name before its first CHILD_SA, and
another one after a reauthentication with `%unique` marks. Metrics need one that does not change.

Rules of this file:

* A tunnel is called as its interface, after `NETNS/` unless in vtid's own namespace. One whose
  policy has a template and names one connection is called as that connection: `CONNECTION`, or
  `CONNECTION/CHILD` where the policy names the child. It has that label before it exists.
* Where one policy serves several children at a time, the first has the label and each other one is
  called `CONNECTION/CHILD`.
* No two tunnels have the same label: where two policies would, `@INTERFACE` follows.
* The tunnel that takes over a child takes over the label; the one before has no series any more.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING

from vtid.config.types import is_static
from vtid.core.policies import ANY_CHILD, is_pattern, key
from vtid.core.tally import Tallies
from vtid.model.link import tunnel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vtid.config.keys import Policy
    from vtid.core.policies import Policies
    from vtid.core.tunnels import Tunnel


class Labels:
    """Which tunnel has which label."""

    def __init__(self) -> None:
        self.tallies = Tallies()
        """What was counted under each label."""
        self._of_policy: dict[tuple[str, ...], str] = {}
        self._policies: dict[str, Policy] = {}
        """Policies that wait for one tunnel, by its label."""
        self._waiting: dict[str, Policy] = {}
        """Those whose tunnel does not exist yet."""
        self._reserved: frozenset[str] = frozenset()
        self._owner: dict[str, Tunnel] = {}

    def use(
        self, policies: Policies, tunnels: Iterable[Tunnel], replaced: Callable[[Tunnel], bool]
    ) -> Iterator[None]:
        """Take a new configuration, in steps: tunnels keep their label where it still fits."""
        wanted: dict[str, Policy] = {}
        of_policy: dict[tuple[str, ...], str] = {}
        for found in _labels(policies):
            if found:
                policy, label = found
                wanted[label], of_policy[key(policy)] = policy, label
            yield
        self._owner.clear()
        self._policies, self._waiting = wanted, dict(wanted)
        self._of_policy, self._reserved = of_policy, frozenset(of_policy.values())
        ordered: list[tuple[object, Tunnel]] = []
        for tunnel in tunnels:
            ordered.append((self._order(tunnel), tunnel))
            yield
        ordered.sort(key=itemgetter(0))
        for _, tunnel in ordered:
            self.claim(tunnel, replaced)
            yield
        self.tallies.keep(self._reserved | self._owner.keys())

    def _order(self, tunnel: Tunnel) -> tuple[bool, tuple[object, ...], str]:
        keeps = tunnel.policy is not None and tunnel.label == self.of(tunnel.policy)
        return not keeps, tunnel.serves or (), tunnel.name

    def of(self, policy: Policy) -> str:
        """Return the label of the tunnel that a policy waits for; empty for a pattern."""
        return self._of_policy.get(key(policy), "")

    def tunnel(self, label: str) -> Tunnel | None:
        """Return the tunnel that has a label, None where it does not exist yet."""
        return self._owner.get(label)

    def is_waiting(self, label: str) -> bool:
        """Whether a policy waits for a tunnel that will have a label."""
        return label in self._waiting

    def waiting(self) -> Iterator[tuple[Policy, str]]:
        """Yield the policies whose tunnel does not exist yet, each with its label."""
        return ((policy, label) for label, policy in self._waiting.items())

    @property
    def waiting_count(self) -> int:
        """How many policies wait for their tunnel."""
        return len(self._waiting)

    def claim(self, tunnel: Tunnel, replaced: Callable[[Tunnel], bool]) -> Tunnel | None:
        """Give a tunnel its label, and return the one that had it before.

        `replaced` says whether a tunnel yields its label.
        """
        if tunnel.policy is None:
            tunnel.label = ""
            return None
        if self._owner.get(tunnel.label) is tunnel:
            return None
        tunnel.label = next(one for one in self._candidates(tunnel) if self._is_free(one, replaced))
        before = self._owner.get(tunnel.label)
        if before:
            before.label = ""
        self._owner[tunnel.label] = tunnel
        tunnel.tally = self.tallies.of(tunnel.label)
        self._waiting.pop(tunnel.label, None)
        return before

    def release(self, tunnel: Tunnel) -> None:
        """Drop a tunnel that is gone."""
        if self._owner.get(tunnel.label) is tunnel:
            del self._owner[tunnel.label]
            if policy := self._policies.get(tunnel.label):
                self._waiting[tunnel.label] = policy
            if tunnel.label not in self._reserved:
                self.tallies.forget(tunnel.label)

    def _candidates(self, tunnel: Tunnel) -> Iterator[str]:
        label = self.of(tunnel.policy) if tunnel.policy else ""
        if label:
            yield label
        others = [tunnel.name]
        if label and tunnel.serves:
            others.insert(0, f"{label}/{tunnel.serves[1]}")
        yield from (other for other in others if other not in self._reserved)
        yield from (f"{others[0]}@{number}" for number in count(2))

    def _is_free(self, label: str, replaced: Callable[[Tunnel], bool]) -> bool:
        owner = self._owner.get(label)
        return owner is None or replaced(owner)


def _labels(policies: Policies) -> Iterator[tuple[Policy, str] | None]:
    """Yield the policies that wait for one tunnel, each with its label; None for other steps."""
    times = Counter[str]()
    for policy in policies.interfaces:
        times[_label(policy)] += not is_pattern(policy) and _is_plain(policies, policy)
        yield None
    for policy in policies.interfaces:
        if is_pattern(policy):
            continue
        label, place = _label(policy), tunnel_name(policy.netns, policy.interface)
        unique = _is_plain(policies, policy) and times[label] == 1
        yield policy, label if is_static(policy.interface) or unique else f"{label}@{place}"


def _is_plain(policies: Policies, policy: Policy) -> bool:
    """Whether a policy may have its connection's name: those of inbound interfaces may not."""
    return is_static(policy.interface) or not policies.is_half(policy)


def _label(policy: Policy) -> str:
    if is_static(policy.interface):
        return tunnel_name(policy.netns, policy.interface)
    return policy.connection + (f"/{policy.child}" if policy.child != ANY_CHILD else "")
