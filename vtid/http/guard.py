"""Guard: a listener's connections, with the limits of `admission` on them. Part of the edge.

aiohttp waits for a request as long as a client likes, and for a client to take its answer. So each
of its protocols stands behind one of ours, which ends the connection when a phase takes too long:

    connected -- TLS, head --> [middleware] -- body --> handler -- send --> idle -- head --> …
                   WAITING                   WAITING    WORKING    SENDING      IDLE

A place is taken before the TLS handshake, which would let half-open ones past it otherwise. The
head has to come as a whole in its time, whatever trickles in. `exchange` tells how far a request
is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from vtid.http.admission import Admission, Client, Limits, Phase, Reason
from vtid.http.listen import client_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine

    from vtid.http.telemetry import Telemetry

HEAD_MAX = 32 * 1024
"""Bytes that come before a head is seen to be whole; aiohttp allows 8 KiB for each line."""

_NO_HEAD = -1
"""While a body or an answer is under way."""

_END_OF_HEAD = b"\r\n\r\n"

_SHUTDOWN_TIMEOUT = 1.0
"""Seconds in which a TLS client says goodbye."""


class Gate:
    """Makes the connections of a listener, and decides which of them may stay."""

    def __init__(
        self, name: str, serve: Callable[[], asyncio.Protocol], limits: Limits, telemetry: Telemetry
    ) -> None:
        self.serve = serve
        self.limits = limits
        self.context: Callable[[], ssl.SSLContext | None] = lambda: None
        """What new connections are secured with."""
        self._handshakes: set[asyncio.Task[None]] = set()
        self._name = name
        self._telemetry = telemetry
        self._admission: Admission[Connection] = Admission(limits)

    def __call__(self) -> Connection:
        """Make a connection, as create_server() asks for."""
        return Connection(self)

    def admit(self, connection: Connection, client: Client) -> bool:
        """Decide whether a connection may stay, and end the one that it displaces."""
        verdict = self._admission.enter(connection, client)
        if verdict.displaced is not None:
            verdict.displaced.end(Reason.DISPLACED)
        if verdict.refused is not None:
            self.count(verdict.refused)
        self._tell()
        return verdict.refused is None

    def secure(self, handshake: Coroutine[None, None, None]) -> None:
        """Run a handshake."""
        task = asyncio.create_task(handshake)
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    def begin(self, connection: Connection, phase: Phase) -> None:
        """Note the phase of a connection."""
        self._admission.begin(connection, phase)

    def know(self, connection: Connection) -> None:
        """Note that a client has taken a good answer."""
        self._admission.know(connection)

    def leave(self, connection: Connection) -> None:
        """Free the place of a connection that is closed."""
        self._admission.leave(connection)
        self._tell()

    def count(self, reason: Reason) -> None:
        """Count a connection that was refused or ended."""
        self._telemetry.refused(self._name, reason)

    def _tell(self) -> None:
        self._telemetry.connections(self._name, len(self._admission))


class Connection(asyncio.Protocol):
    """One connection: hands what comes to aiohttp's protocol, and ends it when a phase is over."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._head = 0
        self._last = b""
        """The last bytes of a head that is not whole, for an end that comes in two pieces."""
        self._is_over = False
        self._early = b""
        self._tell_loss: Callable[[], None] | None = None

    # --- from the transport -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or close the connection with no word."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream's transport is one
        client = client_of(transport)
        if client is None or not self._gate.admit(self, client):
            transport.abort()
            return
        self._transport = transport
        self._limit(self._gate.limits.head, Reason.HEAD)
        context = self._gate.context()
        if context:
            self._gate.secure(self._shake_hands(transport, context))
        else:
            self._serve(transport)

    async def _shake_hands(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        """Secure the connection; where that fails, end it."""
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport, self, context, server_side=True, ssl_shutdown_timeout=_SHUTDOWN_TIMEOUT
            )
        except OSError:  # ssl.SSLError is one
            secured = None
        if secured is None and not self._is_over:
            self.end(Reason.TLS)
        if secured is None or self._is_over:
            self.connection_lost(None)  # not called by asyncio before the end of the handshake
        else:
            self._serve(secured)

    def _serve(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._inner = self._gate.serve()
        self._inner.connection_made(transport)
        if self._early:
            self._inner.data_received(self._early)
            self._early = b""

    def data_received(self, data: bytes) -> None:
        """Hand it on; the first byte after an answer begins the next head."""
        if self._head == 0:
            self._gate.begin(self, Phase.WAITING)
            self._limit(self._gate.limits.head, Reason.HEAD)
        if self._head != _NO_HEAD and self._add_to_head(data) > HEAD_MAX:
            self.end(Reason.SIZE)
        elif self._inner:
            self._inner.data_received(data)
        else:
            self._early += data  # came with the end of the handshake

    def _add_to_head(self, data: bytes) -> int:
        """Return how long the head is so far; what comes behind its end is not counted."""
        text = self._last + data
        text = text if self._last else text.lstrip(b"\r\n")  # blank lines before it are allowed
        end = text.find(_END_OF_HEAD)
        length = self._head + (len(data) if end < 0 else end)
        self._head, self._last = (length, text[-3:]) if end < 0 else (_NO_HEAD, b"")
        return length

    def eof_received(self) -> bool | None:
        """Hand it on."""
        return self._inner.eof_received() if self._inner else None

    def pause_writing(self) -> None:
        """Hand it on."""
        if self._inner:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Hand it on."""
        if self._inner:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place."""
        self._is_over = True
        self._stop_timer()
        self._gate.leave(self)
        if self._inner:
            self._inner.connection_lost(exc)
        if self._tell_loss:
            self._tell_loss()

    # --- from the gate and the exchange -----------------------------------------------------

    def end(self, reason: Reason) -> None:
        """Close the connection at once, with what is not sent yet."""
        self._is_over = True
        self._stop_timer()
        self._gate.count(reason)
        if self._transport:
            self._transport.abort()

    def reads_body(self) -> None:
        """Note that a head is in, and its body has to come."""
        self._head = _NO_HEAD
        self._limit(self._gate.limits.body, Reason.BODY)

    def works(self) -> None:
        """Note that a request is in; the daemon takes the time that it takes."""
        self._stop_timer()
        self._gate.begin(self, Phase.WORKING)

    def sends(self) -> None:
        """Note that the answer begins."""
        self._gate.begin(self, Phase.SENDING)
        self._limit(self._gate.limits.send, Reason.SEND)

    def flows(self) -> None:
        """Note that a piece of a stream is sent, and the next one comes when there is news."""
        self._stop_timer()
        self._head = HEAD_MAX  # whatever the client says now is too much
        self._gate.begin(self, Phase.IDLE)
        self._gate.know(self)

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when the connection is lost; at once if it is."""
        self._tell_loss = tell
        if self._is_over:
            tell()

    def rests(self, *, is_good: bool) -> None:
        """Note that the answer is sent, and whether it was a good one."""
        self._gate.begin(self, Phase.IDLE)
        if is_good:
            self._gate.know(self)
        self._limit(self._gate.limits.idle, Reason.IDLE)
        self._head, self._last = 0, b""

    def refuses(self) -> None:
        """Count that a body is too large, and read no more of it."""
        self._gate.count(Reason.SIZE)
        if self._transport and not self._transport.is_closing():
            self._transport.pause_reading()

    def _limit(self, seconds: float, reason: Reason) -> None:
        self._stop_timer()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self.end, reason)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None
