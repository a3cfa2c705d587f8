"""Connection: the states of the connection to charon, and their transitions. Pure.

    state          charon                                     events of charon
    ────────────   ────────────────────────────────────────   ──────────────────────────────────
    DISCONNECTED   is away; the next try waits its time       none
    REGISTERING    answered; events are registered            none yet
    LISTING        lists its SAs                              wait until the list is posted
    FOLLOWING      is asked now and then whether it lives     are posted at once
    SETTLING       sent an event that only a list explains    are posted at once; a list follows

    DISCONNECTED ─connected─▶ REGISTERING ─registered─▶ LISTING ─listed─▶ FOLLOWING
         ▲                                               ▲   ▲              │    │
         └── lost, from any state                        │   └── list due ──┘    │ unclear
                                                         └─ list due ─ SETTLING ◀┘

Rules of this file:

* The state changes by `TABLE` alone; an event that a state does not have is a defect.
* Events are registered before the first list, so list and events form one sequence.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ConnectionStateError(Exception):
    """An event that a state does not allow: a defect in vtid."""


class State(StrEnum):
    """Where the connection stands; see the table of the module."""

    DISCONNECTED = "disconnected"
    REGISTERING = "registering"
    LISTING = "listing"
    FOLLOWING = "following"
    SETTLING = "settling"


class Event(StrEnum):
    """What happens to the connection."""

    CONNECTED = "connected"
    REGISTERED = "registered"
    LISTED = "listed"
    LIST_DUE = "list due"
    UNCLEAR = "unclear"
    """An event came after which only list-sas shows which SAs there are."""
    LOST = "lost"


TABLE: Final[dict[State, dict[Event, State]]] = {
    State.DISCONNECTED: {Event.CONNECTED: State.REGISTERING, Event.LOST: State.DISCONNECTED},
    State.REGISTERING: {Event.REGISTERED: State.LISTING, Event.LOST: State.DISCONNECTED},
    State.LISTING: {Event.LISTED: State.FOLLOWING, Event.LOST: State.DISCONNECTED},
    State.FOLLOWING: {
        Event.LIST_DUE: State.LISTING,
        Event.UNCLEAR: State.SETTLING,
        Event.LOST: State.DISCONNECTED,
    },
    State.SETTLING: {Event.LIST_DUE: State.LISTING, Event.LOST: State.DISCONNECTED},
}


def after(state: State, event: Event) -> State:
    """Return the state after an event. Raises ConnectionStateError where it cannot happen."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise ConnectionStateError(f"{event.value!r} while {state.value!r}") from None
