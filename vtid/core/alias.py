"""Alias: what the kernel keeps for vtid with each interface (IFLA_IFALIAS), over a restart. Pure.

Rules of this file:

* An alias is `vtid:TUNNEL`. An interface that is named after its SA (`vti{mark}`) does not tell
  which policy it is of while it has no SA: there, the alias is `vtid:TUNNEL CONNECTION/CHILD`.
* The policy is left out where its name does not fit: the kernel takes 255 bytes (linux/if.h,
  IFALIASZ), and an alias that cannot be read back as it was written would be set for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.config.types import is_static
from vtid.core.policies import is_pattern
from vtid.model.link import ALIAS_PREFIX

if TYPE_CHECKING:
    from vtid.config.keys import Policy

_LONGEST = 255
"""Bytes."""


def alias_of(tunnel: str, policy: Policy) -> str:
    """Return the alias of a tunnel's interface."""
    plain = f"{ALIAS_PREFIX}{tunnel}"
    if is_static(policy.interface) or is_pattern(policy):
        return plain
    alias = f"{plain} {policy.connection}/{policy.child}"
    fits = alias.isascii() and alias.isprintable() and len(alias) <= _LONGEST
    return alias if fits else plain


def is_of(alias: str, tunnel: str, policy: Policy) -> bool:
    """Whether an alias says that a tunnel's interface, named after its SA, is of a policy."""
    of_it = alias == alias_of(tunnel, policy) != f"{ALIAS_PREFIX}{tunnel}"
    return of_it and tunnel.rpartition("/")[2].startswith(policy.interface.partition("{")[0])


def connection_in(alias: str) -> str:
    """Return the connection that an alias names, empty where it names none."""
    return alias.partition(" ")[2].rpartition("/")[0]
