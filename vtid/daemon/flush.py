"""Flush: what is left while everything of vtid's is removed, and whether BIRDs followed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vtid.bird.client import Bird
    from vtid.core.state import State


def count_links(state: State) -> int:
    """Return the number of interfaces of vtid's."""
    return sum(tunnel.observed.link is not None for tunnel in state.tunnels.values())


def is_done(state: State, birds: Mapping[str, Bird]) -> bool:
    """Whether everything is removed or has failed once, and each BIRD has followed or cannot."""
    return not state.is_busy() and all(_followed(state, *item) for item in birds.items())


def _followed(state: State, name: str, edge: Bird) -> bool:
    said = state.birds.get(name)
    in_trouble = said is not None and (bool(said.error) or not said.connected)
    return in_trouble or edge.is_current


def left(state: State, birds: Mapping[str, Bird]) -> Iterator[str]:
    """Yield what is not removed, one line each with the reason."""
    for tunnel in state.tunnels.values():
        if tunnel.observed.link or tunnel.observed.clamp:
            why = state.error_of(tunnel) or tunnel.desired.reason
            yield f"{tunnel.label or tunnel.name}: {why}"
    for name, edge in birds.items():
        if not edge.is_current:
            said = state.birds.get(name)
            why = (said and said.error) or "not connected"
            yield f"sessions of bird {name}: {why}"
