"""The client's side of one VICI connection, without a socket: bytes in, values out.

    session.request("version")      bytes to send
    session.receive_data(chunk)     bytes from the socket, in chunks of any size
    session.next_event()            what they mean, until it is None

Rules of this file:

* charon answers commands and registrations in the order in which they came
  (vici_socket.c, one queue per client), so what is unanswered is a queue of `Pending`.
* An event belongs to the running command (the oldest unanswered) if that command streams it;
  every other event is reported as it comes, also between a registration and its confirmation.
* One state, `open`, and two ends: `closed` after the peer closed between packets with nothing
  unanswered or not, `broken` after the first `ProtocolError`, which every later call raises again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from vtid.vici.codec import (
    Message,
    Packet,
    PacketType,
    ProtocolError,
    Request,
    decode_packet,
    encode_register,
    encode_request,
    take_payload,
)


@dataclass(frozen=True, slots=True)
class Pending:
    """A command or registration that charon has not answered; `number` identifies it."""

    number: int
    name: str
    registration: bool = False
    stream: str = ""
    """Event that the command streams its answer with; empty for none."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The command was run; `message` is its answer."""

    pending: Pending
    message: Message


@dataclass(frozen=True, slots=True)
class Registered:
    """The event is registered."""

    pending: Pending


@dataclass(frozen=True, slots=True)
class Unknown:
    """This charon has no such command or event."""

    pending: Pending


@dataclass(frozen=True, slots=True)
class Streamed:
    """One part of the running command's answer."""

    pending: Pending
    message: Message


@dataclass(frozen=True, slots=True)
class Happened:
    """An event that was registered for, not part of a command's answer."""

    name: str
    message: Message


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer closed; `unanswered` stay so."""

    unanswered: tuple[Pending, ...]


Event: TypeAlias = Answered | Registered | Unknown | Streamed | Happened | Closed


class Session:
    """The protocol state of one connection; see the head of this file."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._pending: deque[Pending] = deque()
        self._numbers = 0
        self._at_end = False
        self._error: ProtocolError | None = None

    @property
    def unanswered(self) -> tuple[Pending, ...]:
        """Commands and registrations without an answer, oldest first."""
        return tuple(self._pending)

    def request(
        self, command: str, message: Request | None = None, *, stream: str = ""
    ) -> tuple[Pending, bytes]:
        """Return a command's ticket and the bytes to send. `ProtocolError` if it cannot be sent."""
        data = encode_request(command, message)
        return self._expect(command, stream=stream), data

    def register(self, event: str) -> tuple[Pending, bytes]:
        """Return a registration's ticket and the bytes to send."""
        data = encode_register(event)
        return self._expect(event, registration=True), data

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the socket; empty bytes mean that the peer closed it."""
        self._check()
        self._at_end = self._at_end or not data
        self._buffer += data

    def next_event(self) -> Event | None:
        """Return what came next, None where more bytes are needed.

        After `Closed` there is nothing more. Raises `ProtocolError` for bytes that are not VICI,
        for an answer to nothing or of the wrong kind, and for an end inside a packet.
        """
        self._check()
        try:
            payload = take_payload(self._buffer)
            return self._end() if payload is None else self._event(decode_packet(payload))
        except ProtocolError as error:
            self._error = error
            raise

    def _expect(self, name: str, *, registration: bool = False, stream: str = "") -> Pending:
        self._check()
        self._numbers += 1
        pending = Pending(self._numbers, name, registration, stream)
        self._pending.append(pending)
        return pending

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _end(self) -> Closed | None:
        if not self._at_end:
            return None
        if self._buffer:
            raise ProtocolError("charon closed the connection inside a packet")
        return Closed(self.unanswered)

    def _event(self, packet: Packet) -> Event:
        if packet.type is PacketType.EVENT:
            running = self._pending[0] if self._pending else None
            if running and running.stream == packet.name:
                return Streamed(running, packet.message)
            return Happened(packet.name, packet.message)
        pending = self._answered(packet.type)
        if packet.type is PacketType.RESPONSE:
            return Answered(pending, packet.message)
        return Registered(pending) if packet.type is PacketType.CONFIRM else Unknown(pending)

    def _answered(self, kind: PacketType) -> Pending:
        if not self._pending:
            raise ProtocolError(f"{kind.name} from charon, but nothing was asked")
        pending = self._pending[0]
        if pending.registration is not (kind in (PacketType.CONFIRM, PacketType.EVENT_UNKNOWN)):
            raise ProtocolError(f"{kind.name} from charon does not answer {pending.name!r}")
        return self._pending.popleft()
