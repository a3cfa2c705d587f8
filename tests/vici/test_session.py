"""The session: order of answers, whose an event is, and how it ends."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vici.golden_files import recorded
from vtid.vici.codec import ProtocolError
from vtid.vici.session import (
    Answered,
    Closed,
    Event,
    Happened,
    Registered,
    Session,
    Streamed,
    Unknown,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


def frame(payload: bytes) -> bytes:
    return struct.pack("!I", len(payload)) + payload


def event(name: str, body: bytes = b"") -> bytes:
    return frame(bytes([7, len(name)]) + name.encode() + body)


RESPONSE, UNKNOWN, CONFIRM, EVENT_UNKNOWN = (frame(bytes([kind])) for kind in (1, 2, 5, 6))
KEY = b"\x03\x01k\x00\x01v"


def drain(session: Session, data: bytes) -> list[Event]:
    session.receive_data(data)
    events = []
    while (found := session.next_event()) is not None:
        events.append(found)
    return events


def test_answers_come_in_order() -> None:
    session = Session()
    first, one = session.register("child-updown")
    second, two = session.register("ike-nothing")
    third, three = session.request("version")
    fourth, _ = session.request("nonsense")
    assert (one[4], two[4], three[4]) == (3, 3, 0)
    assert session.unanswered == (first, second, third, fourth)
    found = drain(session, CONFIRM + EVENT_UNKNOWN + frame(b"\x01" + KEY) + UNKNOWN)
    assert found == [
        Registered(first),
        Unknown(second),
        Answered(third, {"k": b"v"}),
        Unknown(fourth),
    ]
    assert not session.unanswered


def test_stream_events_belong_to_the_running_command_only() -> None:
    session = Session()
    first, _ = session.request("list-sas", stream="list-sa")
    second, _ = session.request("list-sas", stream="list-sa")
    found = drain(
        session,
        event("list-sa", KEY) + event("child-updown") + RESPONSE + event("list-sa") + RESPONSE,
    )
    assert found == [
        Streamed(first, {"k": b"v"}),
        Happened("child-updown", {}),
        Answered(first, {}),
        Streamed(second, {}),
        Answered(second, {}),
    ]
    assert drain(session, event("list-sa")) == [Happened("list-sa", {})]


def test_an_event_may_come_before_the_confirmation() -> None:
    session = Session()
    pending, _ = session.register("child-updown")
    found = drain(session, event("child-updown") + CONFIRM)
    assert found == [Happened("child-updown", {}), Registered(pending)]


def chunks(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places) if a < b]


@given(st.lists(st.integers(0, 1 << 16), max_size=20))
def test_how_bytes_are_portioned_does_not_matter(cuts: list[int]) -> None:
    stream = b"".join(frame(packet.payload) for packet in recorded("a")[6:14])
    whole, portioned = Session(), Session()
    for session in (whole, portioned):
        session.request("list-sas", stream="list-sa")
    events = drain(whole, stream)
    assert [found for part in chunks(stream, cuts) for found in drain(portioned, part)] == events
    assert len(events) == 8


@given(st.binary(max_size=60), st.integers(0, 3))
def test_garbage_breaks_the_session_alike_whole_and_by_byte(data: bytes, asked: int) -> None:
    outcomes = []
    for parts in ([data], [bytes([byte]) for byte in data]):
        session, found = Session(), list[Event]()
        for _ in range(asked):
            session.request("x")
        try:
            for part in filter(None, parts):
                found += drain(session, part)
            outcomes.append((found, ""))
        except ProtocolError as error:
            outcomes.append(([], str(error)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    ("register", "answer"), [(True, RESPONSE), (True, UNKNOWN), (False, CONFIRM)]
)
def test_an_answer_of_the_wrong_kind_is_refused(register: bool, answer: bytes) -> None:  # noqa: FBT001 - pytest's parameter
    session = Session()
    if register:
        session.register("x")
    else:
        session.request("x")
    with pytest.raises(ProtocolError, match="does not answer 'x'"):
        drain(session, answer)


def test_an_answer_to_nothing_is_refused_and_stays_so() -> None:
    session = Session()
    with pytest.raises(ProtocolError, match="nothing was asked") as first:
        drain(session, RESPONSE)
    for call in (
        lambda: session.receive_data(b"x"),
        session.next_event,
        lambda: session.request("version"),
    ):
        with pytest.raises(ProtocolError) as again:
            call()
        assert again.value is first.value


def test_a_close_between_packets_names_what_is_open() -> None:
    session = Session()
    pending, _ = session.request("version")
    session.receive_data(event("child-updown"))
    session.receive_data(b"")
    assert session.next_event() == Happened("child-updown", {})
    assert session.next_event() == Closed((pending,))


def test_a_close_inside_a_packet_is_an_error() -> None:
    session = Session()
    session.request("version")
    assert drain(session, RESPONSE[:-1]) == []
    with pytest.raises(ProtocolError, match="inside a packet"):
        drain(session, b"")


def test_what_cannot_be_sent_is_not_waited_for() -> None:
    session = Session()
    with pytest.raises(ProtocolError):
        session.request("x" * 300)
    assert session.unanswered == ()
