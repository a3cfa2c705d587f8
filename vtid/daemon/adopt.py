"""Adopt: what an operator hears of interfaces that were to become vtid's own. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.http.api import AdoptResult
from vtid.model.mode import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vtid.core.state import State


def adopt_result(state: State, names: Iterable[str], *, finished: bool) -> AdoptResult:
    """Return what became of the last wish; without `names`, of all that were there."""
    answers = state.adoptions.answers
    adopted = [name for name, error in answers.items() if not error]
    refused = [f"{name}: {error}" for name, error in answers.items() if error]
    for name in names:
        tunnel = state.tunnel(name)
        if tunnel is None or tunnel.name not in answers:
            refused.append(f"{name}: {_why_not(state, name)}")
    return AdoptResult(tuple(sorted(adopted)), tuple(sorted(refused)), finished)


def _why_not(state: State, name: str) -> str:
    """Return why there was nothing to adopt, and the way out."""
    tunnel = state.tunnel(name)
    if tunnel is None:
        return "no CHILD_SA wants an interface of that name now: `vtictl tunnels` lists the tunnels"
    if state.modes.of_tunnel(tunnel) is Mode.PAUSED:
        return "paused by the operator: `vtictl resume` it first"
    if tunnel.observed.link:
        return "it is vtid's own already"
    return state.error_of(tunnel) or f"no interface is wanted now ({tunnel.desired.reason})"
