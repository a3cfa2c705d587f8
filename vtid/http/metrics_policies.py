"""Metrics of policies beside what charon has loaded (list-conns). Pure.

The rules are those of `vtid.http.metrics`. The series are as many as there are policies, and some
for charon's connections: those that no policy claims are counted, and the first of them named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.http.exposition import Family, family, labels

if TYPE_CHECKING:
    from vtid.http.exposition import Exposition
    from vtid.model.loaded import Loaded, PolicyLoaded
    from vtid.model.status import Status


def write_policies(out: Exposition, status: Status) -> None:
    """Write what charon has loaded, and whether each policy has its part in it."""
    known = status.loaded
    out.write(_LOADED, {"": known} if known else {})
    policies = known.policies if known else ()
    out.write(_POLICY, {_policy_labels(one): one for one in policies})
    names = known.unclaimed_names if known else ()
    out.write(_UNCLAIMED, {labels(connection=name[0], child=name[1]): name for name in names})


_LOADED: tuple[Family[Loaded], ...] = (
    family(
        "gauge",
        "vtid_charon_connections",
        "Connections that charon has loaded (list-conns).",
        lambda one: one.connections,
    ),
    family(
        "gauge",
        "vtid_charon_children",
        "Children of the loaded connections that can have a CHILD_SA.",
        lambda one: one.children,
    ),
    family(
        "gauge",
        "vtid_charon_children_unclaimed",
        "Children that charon has loaded and no policy matches.",
        lambda one: one.unclaimed,
    ),
    family(
        "gauge",
        "vtid_policies",
        "Policies of the configuration.",
        lambda one: len(one.policies),
    ),
    family(
        "gauge",
        "vtid_policies_unloaded",
        "Policies for which charon has no connection loaded.",
        lambda one: sum(not policy.loaded for policy in one.policies),
    ),
)

_POLICY: tuple[Family[PolicyLoaded], ...] = (
    family(
        "gauge",
        "vtid_policy_loaded",
        "Whether charon has a connection loaded that a policy matches.",
        lambda one: int(one.loaded),
    ),
)

_UNCLAIMED: tuple[Family[tuple[str, str]], ...] = (
    family(
        "gauge",
        "vtid_charon_child_unclaimed_info",
        "Child that no policy matches, of the first 100 by name; always 1.",
        lambda _: 1,
    ),
)


def _policy_labels(one: PolicyLoaded) -> str:
    return labels(policy=one.policy, netns=one.netns, interface=one.interface)
