"""The states of an include file: the table is whole, and the pusher uses all of it."""

from __future__ import annotations

import inspect
from itertools import product

import pytest
from hypothesis import given
from hypothesis.strategies import lists, sampled_from

from vtid.bird import push
from vtid.bird.states import TABLE, UNCONFIRMED, Event, State, StateError, after


def test_every_state_is_reached_and_left() -> None:
    assert TABLE.keys() == set(State)
    reached = {after for events in TABLE.values() for after in events.values()}
    assert reached == set(State)
    assert all(set(events.values()) - {state} for state, events in TABLE.items())


def test_the_pusher_reports_every_event() -> None:
    code = inspect.getsource(push)
    assert [event for event in Event if f"Event.{event.name}" not in code] == []


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_an_event_that_the_table_does_not_have_is_a_defect(state: State, event: Event) -> None:
    if event in TABLE[state]:
        assert after(state, event) is TABLE[state][event]
        return
    with pytest.raises(StateError, match=f"'{event.value}' while the file is '{state.value}'"):
        after(state, event)


@pytest.mark.parametrize("state", State)
def test_bird_may_go_away_and_an_operator_may_retry_at_any_time(state: State) -> None:
    assert (after(state, Event.DISCONNECTED) in UNCONFIRMED) == (state in UNCONFIRMED)
    assert after(state, Event.RETRIED) is not State.GIVEN_UP


@given(lists(sampled_from(Event)))
def test_a_newer_file_is_never_forgotten(events: list[Event]) -> None:
    """What was written stays unconfirmed until BIRD keeps it or the last good one is back."""
    state, newer = State.UNREAD, False
    for event in events:
        if event not in TABLE[state]:
            continue
        state = after(state, event)
        newer |= event in {Event.WRITTEN, Event.UNFINISHED}
        if event in {Event.LOADED, Event.CONFIRMED, Event.RESTORED, Event.REFUSED, Event.UNDONE}:
            newer = False
        assert newer == (state in UNCONFIRMED)
