"""VICI on the wire: packet framing and the message encoding, as pure functions.

The format is that of strongSwan's src/libcharon/plugins/vici/README.md. A packet is a 4-byte
length and a payload; a payload is a type byte, a name where the type has one, and a message. A
message is a sequence of elements: sections (which nest), lists, and key-value pairs.

Rules of this file:

* Requests are few: the `vici` package encodes them. Answers are many (a list-sas has thousands):
  `decode_message` walks an index over the bytes and agrees with `vici.protocol` on every message
  that is well formed.
* It is stricter than that package with malformed ones: a truncated element and one of unknown type
  are refused, never guessed at. Any bytes lead to a value or to `ProtocolError`.
* Values stay bytes; the caller knows what a key means.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

from vici.protocol import Message as ViciMessage
from vici.protocol import Packet as ViciPacket

if TYPE_CHECKING:
    from collections.abc import Callable

Message: TypeAlias = dict[str, "bytes | list[bytes] | Message"]
"""A decoded section: its key-value pairs, lists and sections, by name."""

Request: TypeAlias = "dict[str, str | int | list[str] | Request]"
"""A section to be encoded."""

HEADER = struct.Struct("!I")

MAX_PACKET = 512 * 1024
"""Longest payload in bytes (vici_socket.c, VICI_MESSAGE_SIZE_MAX); charon hangs up over it."""

MAX_KEYS = 512
"""Keys kept decoded; charon's own are about a hundred."""


_serialize: Callable[[Request], bytes] = ViciMessage.serialize
_named_request: Callable[[str, bytes], bytes] = ViciPacket.request
_register_event: Callable[[str], bytes] = ViciPacket.register_event


class ProtocolError(Exception):
    """Bytes that are not VICI, or a reply without a request."""


class PacketType(IntEnum):
    """Type byte of a payload (vici_dispatcher.h, vici_operation_t)."""

    REQUEST = 0
    RESPONSE = 1
    UNKNOWN = 2
    REGISTER = 3
    UNREGISTER = 4
    CONFIRM = 5
    EVENT_UNKNOWN = 6
    EVENT = 7


@dataclass(frozen=True, slots=True)
class Packet:
    """One payload that charon sent; `name` is that of an event, else empty."""

    type: PacketType
    name: str = ""
    message: Message = field(default_factory=dict)


def encode_request(command: str, message: Request | None = None) -> bytes:
    """Return the packet of a command. `ProtocolError` if a name or the whole is too long."""
    try:
        return _frame(_named_request(command, _serialize(message or {})))
    except struct.error as error:
        raise ProtocolError(f"a name or value in the request {command!r} is too long") from error


def encode_register(event: str) -> bytes:
    """Return the packet that registers an event; a second one doubles the event."""
    return _frame(_register_event(event))


def _frame(payload: bytes) -> bytes:
    if len(payload) > MAX_PACKET:
        raise ProtocolError(f"a request of {len(payload)} bytes is over VICI's {MAX_PACKET}")
    return HEADER.pack(len(payload)) + payload


def take_payload(buffer: bytearray) -> bytes | None:
    """Cut the first payload off `buffer`, or return None where it is not complete yet."""
    if len(buffer) < HEADER.size:
        return None
    (length,) = HEADER.unpack_from(buffer)
    if not 0 < length <= MAX_PACKET:
        raise ProtocolError(f"a packet of {length} bytes; VICI has 1 to {MAX_PACKET}")
    end = HEADER.size + length
    if len(buffer) < end:
        return None
    payload = bytes(buffer[HEADER.size : end])
    del buffer[:end]
    return payload


def decode_packet(payload: bytes) -> Packet:
    """Decode what charon sent. `ProtocolError` for a type only clients send, or for garbage."""
    match payload[0] if payload else None:
        case PacketType.EVENT:
            name, start = _event_name(payload)
            return Packet(PacketType.EVENT, name, decode_message(payload, start))
        case PacketType.RESPONSE:
            return Packet(PacketType.RESPONSE, "", decode_message(payload, 1))
        case PacketType.UNKNOWN | PacketType.CONFIRM | PacketType.EVENT_UNKNOWN as plain:
            return Packet(PacketType(plain))
        case other:
            raise ProtocolError(f"a packet of type {other} is none that charon sends")


def _event_name(payload: bytes) -> tuple[str, int]:
    end = 2 + payload[1] if len(payload) > 1 else len(payload) + 1
    if end > len(payload):
        raise ProtocolError("an event ends inside its name")
    try:
        return payload[2:end].decode(), end
    except UnicodeDecodeError as error:
        raise ProtocolError("an event's name is not UTF-8") from error


_SECTION_START, _SECTION_END, _KEY_VALUE, _LIST_START, _LIST_ITEM, _LIST_END = range(1, 7)

_keys: dict[bytes, str] = {}


def _key(raw: bytes) -> str:
    """Decode a key and cache it; the cache starts again when a peer invents too many."""
    if len(_keys) >= MAX_KEYS:
        _keys.clear()
    key = _keys[raw] = raw.decode()
    return key


def decode_message(data: bytes, start: int = 0) -> Message:  # noqa: C901 - calls cost too much
    """Decode the message in `data` from `start` to its end; `ProtocolError` if it is not one.

    Slices beyond the end are short instead of an error, but leave the position beyond the end,
    which is looked at once, after the loop. Nearly all elements are key-value pairs, so these come
    first, and their length has its high byte added only where there is one.
    """
    section: Message = {}
    outer: list[Message] = []
    position, end = start, len(data)
    known = _keys
    try:
        while position < end:
            element = data[position]
            if element == _KEY_VALUE:
                position += 2
                after = position + data[position - 1]
                raw = data[position:after]
                try:
                    key = known[raw]
                except KeyError:
                    key = _key(raw)
                value = after + 2
                position = value + data[after + 1]
                if high := data[after]:
                    position += high << 8
                section[key] = data[value:position]
            elif element == _SECTION_END:
                section = outer.pop()
                position += 1
            elif element == _SECTION_START:
                after = position + 2 + data[position + 1]
                inner: Message = {}
                section[data[position + 2 : after].decode()] = inner
                outer.append(section)
                section, position = inner, after
            elif element == _LIST_START:
                after = position + 2 + data[position + 1]
                key = data[position + 2 : after].decode()
                section[key], position = _decode_list(data, after)
            else:
                raise ProtocolError(f"element of unknown type {element} at byte {position}")
    except IndexError as error:
        raise ProtocolError(f"a message ends early or is badly nested at {position}") from error
    except UnicodeDecodeError as error:
        raise ProtocolError(f"a name at byte {position} is not UTF-8") from error
    if position != end or outer:
        raise ProtocolError("a message ends inside an element or a section")
    return section


def _decode_list(data: bytes, position: int) -> tuple[list[bytes], int]:
    items = []
    while data[position] == _LIST_ITEM:
        start = position + 3
        position = start + (data[position + 1] << 8 | data[position + 2])
        items.append(data[start:position])
    if data[position] != _LIST_END:
        raise ProtocolError(f"element of type {data[position]} in a list at byte {position}")
    return items, position + 1
