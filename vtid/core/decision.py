"""Decision: what is desired of a tunnel, in each of its lives. Pure.

Rules of this file:

* The life (`lifecycle`) decides about the interface and what is on it.
* BIRD's sessions have a rule of their own while there is no SA: they stay through the hold time,
  whatever becomes of the interface, and then only those with `present = "always"` are left.
* With `on_loss = "withdraw"`, traffic leaves at once while the interface waits: its sessions are
  disabled and its routes are gone until an SA is back.
* The routes that its SAs ask for are brought up to date in the tunnel's book while they count; what
  is kept without SA keeps those that were wanted last.
* A tunnel that the operator drained has neither sessions nor routes, in any life.
* While the peer is silent under `on_fail = "down"`, a tunnel is as one without SA that is kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vtid.core.bgp import blocks_down
from vtid.core.desired import NOTHING
from vtid.core.lifecycle import Facts, Life, life_of
from vtid.core.made import make
from vtid.core.presence import kept
from vtid.model.link import Desired

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtid.core.tunnels import Tunnel
    from vtid.core.underlay import Path, Underlay
    from vtid.model.bgp import BirdBlock


def decide(
    tunnel: Tunnel, facts: Facts, paths: Mapping[Path, Underlay], vici_error: str | None
) -> Desired:
    """Return what should be there of a tunnel, and why; `paths` are those looked up so far."""
    life = life_of(facts)
    desired = _of_interface(tunnel, life, paths, vici_error)
    carries = life is Life.WANTED and not tunnel.silent
    if carries or life is Life.FLUSHED or desired.probes or tunnel.policy is None:
        return desired
    there = tunnel.observed.birds
    # SAs that charon had when VICI was lost count as alive: this tunnel lost its last before that
    lost_its_sa = vici_error is None or tunnel.last_sa is not None
    if life is Life.HELD and tunnel.policy.on_loss == "withdraw" and lost_its_sa:
        return _withdrawn(desired, there)
    down = blocks_down(tunnel.name, tunnel.interface, tunnel.policy, there)
    birds = there if facts.holding else down
    return desired if desired.birds == birds else replace(desired, birds=birds)


def drained(desired: Desired) -> Desired:
    """Return what is left of what should be there, if the operator drained the tunnel."""
    if desired.link is None or desired.probes:
        return replace(desired, birds=())
    reason = f"{desired.reason}; drained by the operator"
    return replace(desired, reason=reason, birds=(), no_routes=True)


def _withdrawn(desired: Desired, there: tuple[BirdBlock, ...]) -> Desired:
    """Return what is kept of a tunnel that has just lost its last SA, without traffic to it."""
    birds = tuple(
        replace(block, switched=tuple((session.name, False) for session in block.sessions))
        for block in there
    )
    reason = f"{desired.reason}; routes and sessions are withdrawn"
    return replace(desired, reason=reason, birds=birds, no_routes=True)


def _of_interface(
    tunnel: Tunnel, life: Life, paths: Mapping[Path, Underlay], vici_error: str | None
) -> Desired:
    if life is Life.FLUSHED:
        return Desired(reason="flushed by the operator")
    if life is Life.WANTED and tunnel.silent:
        return replace(_kept(tunnel, "", down=True), reason=tunnel.silent)
    if life in {Life.WANTED, Life.DECLARED} and tunnel.policy:
        facts = tunnel.name, tunnel.policy, tunnel.wanted_by, paths, tunnel.routes
        tunnel.made = make(*facts, proven=tunnel.proven, before=tunnel.made)
        return tunnel.made.desired
    if life is Life.KEPT:
        return _kept(tunnel, "the policy keeps the interface, down", down=True)
    if life is Life.HELD:
        return _kept(tunnel, f"VICI is lost ({vici_error})" if vici_error else "hold time")
    return NOTHING


def _kept(tunnel: Tunnel, why: str, *, down: bool = False) -> Desired:
    return kept(why, tunnel.last_desired, tunnel.observed, tunnel.our_addresses, down=down)
