"""Doctor: which interfaces are to be looked at, and which SA is up for each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.config.types import is_static
from vtid.core.desired import refusal
from vtid.core.naming import PolicyError, interface_name
from vtid.model.link import tunnel_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Config, Policy
    from vtid.core.policies import Policies
    from vtid.model.facts import CharonLists
    from vtid.model.sa import ChildSa


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface that a policy asks for."""

    policy: Policy
    name: str
    sas: tuple[ChildSa, ...] = ()
    """Those that are up and served by it."""

    @property
    def netns(self) -> str:
        """The namespace that it lives in."""
        return self.policy.netns

    @property
    def subject(self) -> str:
        """What a finding calls it: `NETNS/NAME`."""
        return tunnel_name(self.netns, self.name)


def interfaces(config: Config, policies: Policies, charon: CharonLists) -> tuple[Interface, ...]:
    """Return those with a plain name, and those of the SAs that are up."""
    serving: dict[tuple[str, str], list[tuple[Policy, ChildSa]]] = {}
    for policy, name, sa in _served(policies, charon):
        serving.setdefault((policy.netns, name), []).append((policy, sa))
    found = {
        (netns, name): Interface(pairs[0][0], name, tuple(sa for _, sa in pairs))
        for (netns, name), pairs in serving.items()
    }
    for policy in config.policies:
        for name in filter(None, (policy.interface, policy.interface_in)):
            if is_static(name):
                found.setdefault((policy.netns, name), Interface(policy, name))
    return tuple(found.values())


def _served(policies: Policies, charon: CharonLists) -> Iterator[tuple[Policy, str, ChildSa]]:
    for sa in charon.sas:
        for policy in policies.matching(sa):
            if refused(policy, sa):
                continue
            try:
                yield policy, interface_name(policy, sa), sa
            except PolicyError:  # `vtictl status` tells it
                continue


def refused(policy: Policy, sa: ChildSa) -> str:
    """Return why a policy cannot serve an SA, and the way out; empty if it can."""
    why = refusal(sa, policy.kind)
    return "" if policy.interface_in and sa.if_id_in and sa.if_id_out else why
