"""Report: what one BIRD looks like to operators, and what keeps it from having the file. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.bird import diagnosis
from vtid.model.input import BirdState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.bird.content import Content
    from vtid.bird.push import Pusher
    from vtid.bird.sessions import Sessions


def report(
    name: str, sessions: Sessions, pusher: Pusher, error: str, answered_at: float
) -> BirdState:
    """Return the state of a BIRD; it answered a poll last at the Unix time `answered_at`."""
    return BirdState(
        instance=name,
        connected=sessions.control is not None,
        version=sessions.version,
        error=error,
        pushes=pusher.pushes,
        refusals=pusher.refusals,
        undos=pusher.undos,
        unconfirmed=pusher.unconfirmed,
        refusal=pusher.refusal,
        push_seconds=pusher.seconds,
        answered_at=answered_at,
        started_at=sessions.started_at,
        reconfigured_at=sessions.reconfigured_at,
        protocols=sessions.states,
    )


def misconfigured(
    name: str, sessions: Sessions, pusher: Pusher, content: Content, *, released: bool
) -> Iterator[str]:
    """Yield what is misconfigured although BIRD answers, with the way out."""
    version, family = sessions.version, sessions.family
    configured = (one for block in content.sources for one in block.sessions)
    yield diagnosis.wrong_template(name, content.template.name, version) or diagnosis.wrong_family(
        name, family, version, configured
    )
    ours, states = pusher.protocols, sessions.states
    away = sessions.control is None or not released or pusher.unconfirmed
    if ours and not away and not any(state.protocol in ours for state in states):
        yield diagnosis.not_included(name, pusher.path)
