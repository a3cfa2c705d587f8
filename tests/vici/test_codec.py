"""The codec against vici.protocol, real packets and garbage."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vici.exception import DeserializationException
from vici.protocol import FiniteStream
from vici.protocol import Message as ViciMessage
from vici.protocol import Packet as ViciPacket

from tests.vici.golden_files import recorded
from vtid.vici import codec
from vtid.vici.codec import (
    MAX_PACKET,
    PacketType,
    ProtocolError,
    decode_message,
    decode_packet,
    encode_register,
    encode_request,
    take_payload,
)

names = st.text(max_size=20).filter(lambda name: len(name.encode()) < 256)
values = st.binary(max_size=40)
messages = st.recursive(
    st.dictionaries(names, values | st.lists(values, max_size=4), max_size=5),
    lambda inner: st.dictionaries(names, values | inner, max_size=4),
    max_leaves=12,
)

REFUSED_BY_VICI = (DeserializationException, struct.error, UnicodeDecodeError)


def vici_decodes(data: bytes) -> Any:
    return ViciMessage.deserialize(FiniteStream(data))  # type: ignore[no-untyped-call]


def vici_encodes(message: Any) -> bytes:
    encoded: bytes = ViciMessage.serialize(message)  # type: ignore[no-untyped-call]
    return encoded


@given(messages)
def test_agrees_with_vici_on_every_message(message: dict[str, Any]) -> None:
    data = vici_encodes(message)
    assert decode_message(data) == vici_decodes(data) == message


@given(messages, st.data())
def test_damaged_messages_are_equal_or_refused(
    message: dict[str, Any], data: st.DataObject
) -> None:
    damaged = bytearray(vici_encodes(message))
    for _ in range(data.draw(st.integers(0, 3)) if damaged else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    assert_equal_or_refused(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


@given(st.lists(st.integers(0, 7), max_size=40).map(bytes) | st.binary(max_size=60))
def test_garbage_is_equal_or_refused(data: bytes) -> None:
    assert_equal_or_refused(data)


def assert_equal_or_refused(data: bytes) -> None:
    """What vici refuses is refused; what is accepted is what vici makes of it."""
    try:
        ours = decode_message(data)
    except ProtocolError:
        return
    try:
        assert ours == vici_decodes(data)
    except REFUSED_BY_VICI:
        pytest.fail(f"accepted what vici.protocol refuses: {data!r}")


@pytest.mark.parametrize(
    "data",
    [
        b"\x03",
        b"\x03\x01k",
        b"\x03\x01k\x00",
        b"\x03\x01k\x00\x05abc",
        b"\x03\x09k",
        b"\x03\x01\xff\x00\x00",
        b"\x01\x01s",
        b"\x02",
        b"\x04\x01l",
        b"\x04\x01l\x05\x00\x02a",
        b"\x04\x01l\x02",
        b"\x05\x00\x01a",
        b"\x07\x00",
        b"\x00",
    ],
    ids=lambda data: data.hex(),
)
def test_refuses(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_message(data)


def test_deep_nesting_is_no_recursion() -> None:
    depth = 100_000
    decoded = decode_message(b"\x01\x01s" * depth + b"\x02" * depth)
    for _ in range(depth - 1):
        inner = decoded["s"]
        assert isinstance(inner, dict)
        decoded = inner
    assert decoded == {"s": {}}


def test_invented_keys_do_not_stay() -> None:
    for i in range(3 * codec.MAX_KEYS):
        key = str(i)
        assert decode_message(vici_encodes({key: "x"})) == {key: b"x"}
    assert len(codec._keys) <= codec.MAX_KEYS


@pytest.mark.parametrize("end", ["a", "b"])
def test_agrees_with_vici_on_what_a_charon_said(end: str) -> None:
    packets = recorded(end)
    for packet in packets:
        theirs = ViciPacket.parse(packet.payload)  # type: ignore[no-untyped-call]
        ours = decode_packet(packet.payload)
        assert ours.type == theirs.response_type
        assert ours.name == packet.event
        assert ours.message == ViciMessage.deserialize(theirs.payload)  # type: ignore[no-untyped-call]
    assert {packet.event for packet in packets} == {
        *("", "list-sa", "ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey")
    }


@given(st.binary(max_size=40))
def test_any_payload_is_a_packet_or_refused(payload: bytes) -> None:
    try:
        packet = decode_packet(payload)
    except ProtocolError:
        return
    assert packet.type == payload[0]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00\x01x",
        b"\x03\x01x",
        b"\x04\x01x",
        b"\x08",
        b"\x07",
        b"\x07\x02x",
        b"\x07\x01\xff",
    ],
    ids=lambda payload: payload.hex(),
)
def test_refuses_packets(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_packet(payload)


def test_requests_are_framed() -> None:
    packet = encode_request("list-sas", {"ike": "a", "n": 1, "l": ["x"], "s": {"k": "v"}})
    assert packet[:4] == struct.pack("!I", len(packet) - 4)
    assert packet[4:14] == b"\x00\x08list-sas"
    expected = {"ike": b"a", "n": b"1", "l": [b"x"], "s": {"k": b"v"}}
    assert decode_message(packet, 14) == expected
    assert encode_register("child-updown")[4:] == bytes([PacketType.REGISTER, 12]) + b"child-updown"


@pytest.mark.parametrize(
    ("command", "message"),
    [("x" * 256, {}), ("x", {"k" * 256: "v"}), ("x", {"k": "v" * 65536})],
    ids=["command", "key", "value"],
)
def test_what_cannot_be_encoded_is_refused(command: str, message: codec.Request) -> None:
    with pytest.raises(ProtocolError):
        encode_request(command, message)


def test_too_long_a_request_is_refused() -> None:
    with pytest.raises(ProtocolError, match="over VICI's"):
        encode_request("load", {"l": ["v" * 60_000] * 10})


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=5))
def test_payloads_come_out_as_they_went_in(payloads: list[bytes]) -> None:
    stream = b"".join(struct.pack("!I", len(payload)) + payload for payload in payloads)
    buffer, found = bytearray(), []
    for byte in stream:
        buffer.append(byte)
        while (payload := take_payload(buffer)) is not None:
            found.append(payload)
    assert found == payloads
    assert not buffer


@pytest.mark.parametrize("length", [0, MAX_PACKET + 1, 0xFFFFFFFF])
def test_refuses_a_length_before_waiting_for_it(length: int) -> None:
    with pytest.raises(ProtocolError, match="VICI has"):
        take_payload(bytearray(struct.pack("!I", length)))


def test_takes_the_longest_packet() -> None:
    buffer = bytearray(struct.pack("!I", MAX_PACKET) + bytes(MAX_PACKET))
    assert take_payload(buffer) == bytes(MAX_PACKET)
