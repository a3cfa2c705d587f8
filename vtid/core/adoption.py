"""Adoption: interfaces that somebody else made, and that the operator wants to be vtid's. Pure.

Rules of this file:

* A wish is for the next attempt only. It ends with its answer, or when the tunnel wants nothing
  that could be adopted; without one, what somebody else made stays as it is.
* Adopting comes instead of creating. What else differs is planned when the kernel shows what is
  there, as for any interface of vtid's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.input import OpFailed
from vtid.model.operation import AdoptLink

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vtid.core.tunnels import Tunnel
    from vtid.model.input import OpDone
    from vtid.model.link import Desired


class Adoptions:
    """The wishes of the operator, and the answers to the last ones."""

    def __init__(self) -> None:
        self._wanted: set[str] = set()
        self._answers: dict[str, str] = {}

    @property
    def answers(self) -> Mapping[str, str]:
        """By name of the tunnel: why its interface was not adopted, empty where it was."""
        return self._answers

    def ask(self, tunnels: Iterable[Tunnel]) -> None:
        """File a wish; it replaces those before."""
        self._answers.clear()
        self._wanted = {tunnel.name for tunnel in tunnels}

    def wants(self, tunnel: Tunnel) -> bool:
        """Whether the operator wants a tunnel's interface to be adopted."""
        return tunnel.name in self._wanted

    def drop(self, tunnel: Tunnel) -> None:
        """End the wish for a tunnel that has nothing to adopt."""
        self._wanted.discard(tunnel.name)

    def answered(self, tunnel: Tunnel, event: OpDone | OpFailed) -> None:
        """File the answer to an `AdoptLink`, or that the lookup failed that it waits for.

        There is none to give where there was no interface.
        """
        self.drop(tunnel)
        if isinstance(event, OpFailed):
            self._answers[tunnel.name] = event.error
        elif event.changed:
            self._answers[tunnel.name] = ""


def adoption(tunnel: Tunnel, desired: Desired) -> tuple[AdoptLink, ...]:
    """Return the operation that adopts the interface of a tunnel, none where none is missing.

    An interface that only waits for an SA is not adopted: its end may be near.
    """
    wanted = desired.link if tunnel.sas or tunnel.declared else None
    if wanted is None or desired.probes or tunnel.observed.link:
        return ()
    keeps_routes = desired.keep_routes or desired.no_routes
    return (
        AdoptLink(
            tunnel=tunnel.name,
            reason="the operator adopts it",
            link=wanted,
            addresses=desired.addresses,
            routes=() if keeps_routes else tuple(sorted(tunnel.routes.wanted)),
        ),
    )
