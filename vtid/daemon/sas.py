"""SAs: what charon has, asked for at the moment, with the tunnels that they serve. An edge.

Rules of this file:

* charon is asked over a connection of its own, so that no event has to wait; where the tunnel says
  which connection it is about, only for that one.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from vtid.http.api import SaList, UnavailableError
from vtid.turns import in_turns
from vtid.vici.channel import ViciError
from vtid.vici.listing import ike_sas

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from vtid.core.state import State
    from vtid.model.ike import ListedIke

_WILDCARDS = frozenset("*?[")


async def list_sas(
    state: State,
    socket: str,
    tunnel: str = "",
    peer: str = "",
    *,
    whole: Callable[[], Awaitable[None]],
) -> SaList:
    """Return the SAs of a tunnel, by its label, and of a peer, which may have wildcards.

    Raises UnavailableError where charon does not answer.
    """
    pattern = _connection_of(state, tunnel) if tunnel else "*"
    one = "" if _WILDCARDS.intersection(pattern) else pattern
    try:
        found, errors = await ike_sas(socket, one)
    except ViciError as error:
        raise UnavailableError(str(error)) from error
    wanted: list[ListedIke] = []
    async for listed in in_turns(found, whole):
        ike = _with_tunnels(state, listed)
        if not (_is_of(ike, peer) and fnmatchcase(ike.connection, pattern)):
            continue
        if not tunnel:
            wanted.append(ike)
        elif _serves(ike, tunnel):
            wanted.append(_only(ike, tunnel))
    in_order = sorted(wanted, key=lambda ike: (ike.connection, ike.unique_id))
    return SaList(tuple(in_order), errors)


def _connection_of(state: State, label: str) -> str:
    """Return the connection of a tunnel, which is a pattern where its policy has one."""
    found = state.tunnel(label)
    if found and found.sas:
        return found.members.newest.connection
    policies = ((one, name) for one, name in state.labels.waiting() if name == label)
    policy = found.policy if found else next((one for one, _ in policies), None)
    return policy.connection if policy else "*"


def _with_tunnels(state: State, ike: ListedIke) -> ListedIke:
    children = (replace(child, tunnels=state.served_by(child.unique_id)) for child in ike.children)
    return replace(ike, children=tuple(children))


def _is_of(ike: ListedIke, peer: str) -> bool:
    words = (ike.remote_host, ike.remote_id)
    return not peer or any(word == peer or fnmatchcase(word, peer) for word in words)


def _serves(ike: ListedIke, tunnel: str) -> bool:
    """Whether an IKE_SA has to do with a tunnel; one without children may be on its way to it."""
    return not ike.children or any(tunnel in child.tunnels for child in ike.children)


def _only(ike: ListedIke, tunnel: str) -> ListedIke:
    children = (child for child in ike.children if tunnel in child.tunnels)
    return replace(ike, children=tuple(children))
