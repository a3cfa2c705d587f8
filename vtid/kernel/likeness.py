"""Likeness: how a link that somebody else made differs from the one that is wanted. Pure.

Rules of this file:

* What counts is what the packets depend on: kind, keys, endpoints, VRF, the namespace outside. The
  rest may differ; vtid changes it in place once the link is its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.model.link import Link

_FIELDS = {
    "local": "local address",
    "remote": "remote address",
    "ikey": "inbound mark (ikey)",
    "okey": "outbound mark (okey)",
    "if_id": "if_id",
    "vrf": "VRF",
}
"""Fields that have to be equal, with their names for people."""


def differences(wanted: Link, there: Link) -> tuple[str, ...]:
    """Return how `there` differs from `wanted`, one phrase for each difference; none if equal."""
    return tuple(_differences(wanted, there))


def _differences(wanted: Link, there: Link) -> Iterator[str]:
    if there.kind != wanted.kind:
        yield f"kind {there.kind or 'device'} instead of {wanted.kind}"
        return  # the rest means something else there
    for field, words in _FIELDS.items():
        one, other = getattr(there, field), getattr(wanted, field)
        if one != other:
            yield f"{words} {one or 'none'} instead of {other or 'none'}"
    if not there.outer_netns_ok:
        yield "its outer side is in another namespace than charon's"
