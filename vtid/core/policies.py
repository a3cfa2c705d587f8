"""Policies: which `[[tunnel]]` claims a CHILD_SA, and under which interface name.

A policy without wildcards is found by its connection name; only the patterns are tried one by
one, so the cost of an event does not grow with the number of plain policies.
"""

from __future__ import annotations

import re
from collections import defaultdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vtid.config import Config, Tunnel
    from vtid.model import ChildSa

IFNAMSIZ = 16
"""Size of an interface name in the kernel with its final NUL (include/uapi/linux/if.h)."""

_WILDCARD = re.compile(r"[*?\[]")
_SAFE_NAME = re.compile(r"[A-Za-z0-9_.@+=-]+")

_TAKEN = frozenset({".", "..", "all", "default", "lo"})
"""By the file system, by net.ipv4.conf.* (sysctl_dev_name_is_allowed) and by each namespace."""


class PolicyError(Exception):
    """An SA cannot become a tunnel; the text names it and the way out."""


def tunnel_name(netns: str, interface: str) -> str:
    """Name of a tunnel: its interface, with its namespace where that is not vtid's own."""
    return f"{netns}/{interface}" if netns else interface


def interface_name(policy: Tunnel, sa: ChildSa) -> str:
    """Fill the policy's interface template with the SA's facts.

    Raises PolicyError where a fact is missing or the kernel would not take the name
    (net/core/dev.c, dev_valid_name).
    """
    facts = {"connection": sa.connection, "child": sa.child, **_mark_facts(sa), **_if_id_facts(sa)}
    try:
        name = policy.interface.format_map(facts)
    except KeyError as error:
        raise PolicyError(_missing_fact(policy, sa, str(error.args[0]))) from None
    if len(name) >= IFNAMSIZ or not _SAFE_NAME.fullmatch(name) or name in _TAKEN:
        raise PolicyError(
            f"{sa}: interface = {policy.interface!r} gives {name!r}, which is no interface name: "
            f"1 to {IFNAMSIZ - 1} letters, digits or ._-+=@ are, but for all, default and lo; "
            "shorten or change the template"
        )
    return name


def _mark_facts(sa: ChildSa) -> dict[str, int]:
    marks = {"mark_in": sa.mark_in, "mark_out": sa.mark_out, "mark": sa.mark_in or sa.mark_out}
    return {name: mark.value for name, mark in marks.items() if mark is not None}


def _if_id_facts(sa: ChildSa) -> dict[str, int]:
    ids = {
        "if_id_in": sa.if_id_in,
        "if_id_out": sa.if_id_out,
        "if_id": sa.if_id_out or sa.if_id_in,
    }
    return {name: if_id for name, if_id in ids.items() if if_id}


def _missing_fact(policy: Tunnel, sa: ChildSa, field: str) -> str:
    what, advice = ("if_id", IF_ID_ADVICE) if field.startswith("if_id") else ("mark", MARK_ADVICE)
    return (
        f"{sa}: interface = {policy.interface!r} needs {{{field}}}, but the CHILD_SA has no "
        f"{what}; {advice.format(connection=sa.connection, child=sa.child)}"
    )


MARK_ADVICE = (
    "put `mark_in = 42` and `mark_out = 42` (a number of its own per peer, or %unique) into "
    "connections.{connection}.children.{child} of swanctl.conf, load it with "
    "`swanctl --load-conns` and establish the SA again"
)

IF_ID_ADVICE = (
    "put `if_id_in = 42` and `if_id_out = 42` (a number of its own per interface, or %unique) into "
    "connections.{connection}.children.{child} of swanctl.conf, load it with "
    "`swanctl --load-conns` and establish the SA again"
)


class Policies:
    """The policies of a configuration, indexed by plain connection name."""

    def __init__(self, config: Config) -> None:
        self.all: tuple[Tunnel, ...] = config.tunnels
        self._plain: dict[str, list[Tunnel]] = defaultdict(list)
        self._patterns: list[Tunnel] = []
        self._by_place = {_place(policy): policy for policy in config.tunnels}
        for policy in config.tunnels:
            if _WILDCARD.search(policy.connection):
                self._patterns.append(policy)
            else:
                self._plain[policy.connection].append(policy)

    def successor(self, policy: Tunnel | None) -> Tunnel | None:
        """Return the policy that gives the same SAs the same names as an earlier one did."""
        return self._by_place.get(_place(policy)) if policy else None

    def claims(self, sa: ChildSa) -> list[Tunnel]:
        """All policies that match the SA; good configurations have at most one."""
        plain = self._plain.get(sa.connection, ())
        return [*_matching(plain, sa), *_matching(self._patterns, sa)]


def _place(policy: Tunnel) -> tuple[str, ...]:
    return policy.connection, policy.child, policy.netns, policy.interface


def _matching(policies: Iterable[Tunnel], sa: ChildSa) -> list[Tunnel]:
    return [
        policy
        for policy in policies
        if fnmatchcase(sa.connection, policy.connection) and fnmatchcase(sa.child, policy.child)
    ]
