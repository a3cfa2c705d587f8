"""States: where the include file of one BIRD stands, and what moves it on. Pure.

    state       the file on disk                          what happens next
    ─────────   ───────────────────────────────────────   ─────────────────────────────────────────
    UNREAD      may have blocks of an earlier life        it is read, or begun
    ACCEPTED    is what BIRD has                          nothing
    WAITING     is newer than what BIRD has               it is pushed
    DENIED      the same; the socket is restricted        it is pushed again later
    WATCHED     is loaded, and BIRD may still undo it     it is confirmed or undone
    GIVEN_UP    is the last good one; BIRD refused or     it waits for a change, a restart of BIRD
                undid the newer one                       or a reload

     UNREAD ──read──▶ ACCEPTED ◀──────────────── confirmed ──┐
        └─unfinished─▶ WAITING ──loaded, sessions to watch──▶ WATCHED
                         │  ▲ └─loaded, none to watch──▶ ACCEPTED
                         │  └── written, or BIRD lost it ──── any state but UNREAD
                         ├─ denied ──▶ DENIED
                         └─ refused, nothing else to push ──▶ GIVEN_UP ◀── undone ── WATCHED

Rules of this file:

* The state changes by `TABLE` alone; an event that a state does not have is a defect.
* In WAITING, DENIED and WATCHED the last good file lies beside the include file.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class StateError(Exception):
    """An event that a state does not allow: a defect in vtid."""


class State(StrEnum):
    """Where the include file stands; see the table of the module."""

    UNREAD = "unread"
    ACCEPTED = "accepted"
    WAITING = "waiting"
    DENIED = "denied"
    WATCHED = "watched"
    GIVEN_UP = "given up"


class Event(StrEnum):
    """What happens to the include file."""

    READ = "read"
    """It was read, or begun."""
    UNFINISHED = "unfinished"
    """It was read, and an earlier vtid left a push unfinished."""
    WRITTEN = "written"
    """It was replaced by a newer one."""
    LOADED = "loaded"
    """BIRD loaded it, and no session needs watching."""
    LOADED_TO_WATCH = "loaded, with sessions to watch"
    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not confirmed"
    """BIRD had nothing to confirm: another program configured it meanwhile."""
    RESTORED = "restored"
    """BIRD refused it, and the last good one is back; blocks at fault stay out of the next one."""
    REFUSED = "refused"
    """The last good one is back, and there is nothing else to push."""
    UNDONE = "undone"
    """The push took sessions down; the last good one is back."""
    DENIED = "denied"
    DISCONNECTED = "disconnected"
    RETRIED = "retried"
    """What BIRD refused gets another chance."""


UNCONFIRMED: Final = frozenset({State.WAITING, State.DENIED, State.WATCHED})
"""States in which the file is newer than what BIRD is known to keep."""

_PUSHED: Final = {
    Event.LOADED: State.ACCEPTED,
    Event.LOADED_TO_WATCH: State.WATCHED,
    Event.DENIED: State.DENIED,
    Event.RESTORED: State.ACCEPTED,
    Event.REFUSED: State.GIVEN_UP,
}

TABLE: Final[dict[State, dict[Event, State]]] = {
    State.UNREAD: {
        Event.READ: State.ACCEPTED,
        Event.UNFINISHED: State.WAITING,
        Event.DISCONNECTED: State.UNREAD,
        Event.RETRIED: State.UNREAD,
    },
    State.ACCEPTED: {
        Event.WRITTEN: State.WAITING,
        Event.DISCONNECTED: State.ACCEPTED,
        Event.RETRIED: State.ACCEPTED,
    },
    State.WAITING: {
        **_PUSHED,
        Event.WRITTEN: State.WAITING,
        Event.DISCONNECTED: State.WAITING,
        Event.RETRIED: State.WAITING,
    },
    State.DENIED: {
        **_PUSHED,
        Event.WRITTEN: State.DENIED,
        Event.DISCONNECTED: State.DENIED,
        Event.RETRIED: State.DENIED,
    },
    State.WATCHED: {
        Event.CONFIRMED: State.ACCEPTED,
        Event.NOT_CONFIRMED: State.WAITING,
        Event.UNDONE: State.GIVEN_UP,
        Event.DISCONNECTED: State.WAITING,
        Event.RETRIED: State.WATCHED,
    },
    State.GIVEN_UP: {
        Event.WRITTEN: State.WAITING,
        Event.DISCONNECTED: State.GIVEN_UP,
        Event.RETRIED: State.ACCEPTED,
    },
}


def after(state: State, event: Event) -> State:
    """Return the state after an event. Raises StateError where it cannot happen."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise StateError(f"{event.value!r} while the file is {state.value!r}") from None
