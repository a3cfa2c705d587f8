"""Summary: the whole daemon on one screen, for `vtictl status`. Pure.

Rule of this file: no walk over all tunnels. Their states are counted as they change; only those in
error are looked at one by one.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

from vtid.core.since import Kind
from vtid.core.status import awaited
from vtid.model.mode import Mode
from vtid.model.status import BirdSummary, Summary, Trouble, TunnelState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.core.state import State
    from vtid.core.tunnels import Tunnel
    from vtid.model.input import BirdState

TROUBLES_SHOWN = 10


def summary(
    state: State,
    *,
    version: str,
    started_at: float,
    config_loaded_at: float,
    waiting_for: tuple[str, ...],
    clock_offset: float,
    followed: bool = True,
    troubles: Iterable[Trouble] = (),
    last: Iterable[Trouble] = (),
) -> Summary:
    """Return the summary.

    `clock_offset` is Unix time minus the state's clock, in seconds. `followed` says whether nothing
    waits outside of the state: no input, and no BIRD that has yet to take its file. `troubles` are
    those that the state does not know of; `last` are some more, which no tunnel suffers from.
    """
    own = chain(_of_daemon(state, clock_offset), _of_tunnels(state, clock_offset))
    found = chain(troubles, own, last)
    shown = tuple(islice(found, TROUBLES_SHOWN))
    initiations = state.initiations(clock_offset)
    tunnels = _counts(state)
    return Summary(
        version=version,
        started_at=started_at,
        config_loaded_at=config_loaded_at,
        ready=not waiting_for,
        waiting_for=waiting_for,
        synced=followed and state.settled and not state.is_busy() and not state.in_error,
        vici_connected=state.vici_error is None,
        namespaces=len(state.namespaces()),
        namespaces_watched=len(state.namespaces() - state.netns_errors.keys()),
        birds=tuple(_bird(state.birds[name]) for name in sorted(state.birds)),
        tunnels=tunnels,
        paused=_in_mode(state, Mode.PAUSED, sum(tunnels.values())),
        drained=_in_mode(state, Mode.DRAINED, sum(tunnels.values())),
        initiating=sum(not one.up for one in initiations),
        troubles=shown,
        more_troubles=sum(1 for _ in found),
        under_way=state.under_way,
    )


def _bird(bird: BirdState) -> BirdSummary:
    return BirdSummary(
        instance=bird.instance,
        connected=bird.connected,
        version=bird.version,
        sessions=len(bird.protocols),
        established=sum(one.info.startswith("Established") for one in bird.protocols),
        unconfirmed=bird.unconfirmed,
    )


def _counts(state: State) -> dict[str, int]:
    counts = {str(one): state.count.get(one, 0) for one in TunnelState}
    refused = 0
    if state.problems:  # rare, and then only policies without a tunnel are looked at
        refused = sum(one.state is TunnelState.ERROR for one in awaited(state))
    counts[TunnelState.ERROR] += refused
    counts[TunnelState.DOWN] += state.labels.waiting_count - refused
    return counts


def _in_mode(state: State, mode: Mode, tunnels: int) -> int:
    return state.modes.count(
        mode,
        tunnels,
        lambda label: state.tunnel(label) is not None or state.labels.is_waiting(label),
    )


def _of_daemon(state: State, clock_offset: float) -> Iterator[Trouble]:
    def trouble(subject: str, error: str, kind: Kind, name: str | int) -> Trouble:
        began = state.since.of(kind, name)
        return Trouble(subject, error, 0.0 if began is None else began + clock_offset)

    if state.vici_error is not None:
        yield trouble("charon", state.vici_error, Kind.VICI, "")
    for netns in sorted(state.netns_errors.keys() & state.namespaces()):
        subject = f"namespace {netns or '(own)'}"
        yield trouble(subject, state.netns_errors[netns], Kind.NETNS, netns)
    for name, bird in sorted(state.birds.items()):
        if bird.error or not bird.connected:
            yield trouble(f"bird {name}", bird.error or "not connected", Kind.BIRD, name)
    for one in state.initiations(clock_offset):
        if one.error:
            yield Trouble(one.tunnel, one.error, one.error_at)
    for unique_id, why in sorted(state.problems.items()):
        yield trouble("", why, Kind.SA, unique_id)


def _of_tunnels(state: State, clock_offset: float) -> Iterator[Trouble]:
    for tunnel in state.in_error:
        if error := _own_error(state, tunnel):
            yield Trouble(tunnel.label or tunnel.name, error, tunnel.since + clock_offset)


def _own_error(state: State, tunnel: Tunnel) -> str:
    """Return the error of a tunnel; that its namespace is lost is told once, for the namespace."""
    lost = tunnel.netns in state.netns_errors and not tunnel.progress.error
    return "" if lost else state.error_of(tunnel)
