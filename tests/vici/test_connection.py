"""The states of the connection to charon: the table is whole, and the client uses all of it."""

from __future__ import annotations

import inspect
from itertools import product

import pytest
from hypothesis import given
from hypothesis.strategies import lists, sampled_from

from vtid.vici import client
from vtid.vici.connection import TABLE, ConnectionStateError, Event, State, after


def test_every_state_is_reached_and_may_be_lost() -> None:
    assert TABLE.keys() == set(State)
    assert {state for events in TABLE.values() for state in events.values()} == set(State)
    assert {after(state, Event.LOST) for state in State} == {State.DISCONNECTED}


def test_the_client_reports_every_event() -> None:
    code = inspect.getsource(client)
    assert [event for event in Event if f"connection.Event.{event.name}" not in code] == []


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_an_event_that_the_table_does_not_have_is_a_defect(state: State, event: Event) -> None:
    if event in TABLE[state]:
        assert after(state, event) is TABLE[state][event]
        return
    with pytest.raises(ConnectionStateError, match=f"'{event.value}' while '{state.value}'"):
        after(state, event)


@given(lists(sampled_from(Event)))
def test_nothing_is_followed_before_it_was_listed(events: list[Event]) -> None:
    state, listed = State.DISCONNECTED, False
    for event in events:
        if event in TABLE[state]:
            state = after(state, event)
            listed = (listed or event is Event.LISTED) and event is not Event.LOST
            assert listed >= (state in {State.FOLLOWING, State.SETTLING})
